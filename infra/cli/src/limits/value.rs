//! The value of a constant's expression, and how it is written for people.

use std::collections::BTreeMap;
use std::time::Duration;

use syn::{BinOp, Expr, ExprBinary, ExprCall, ExprMethodCall, Lit};

/// A number, or a time in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    Plain(i128),
    Milliseconds(i128),
}

/// The value of an expression of numbers, of times and of constants that are known by name.
pub(super) fn evaluate(expression: &Expr, known: &BTreeMap<String, Number>) -> Option<Number> {
    match expression {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Int(number) => number.base10_parse().ok().map(Number::Plain),
            _ => None,
        },
        Expr::Paren(inner) => evaluate(&inner.expr, known),
        Expr::Group(inner) => evaluate(&inner.expr, known),
        Expr::Cast(cast) => evaluate(&cast.expr, known),
        Expr::Path(path) => known.get(&path.path.segments.last()?.ident.to_string()).copied(),
        Expr::Binary(binary) => calculate(binary, known),
        Expr::Call(call) => constructed(call, known),
        Expr::MethodCall(call) => called(call, known),
        _ => None,
    }
}

fn plain(expression: &Expr, known: &BTreeMap<String, Number>) -> Option<i128> {
    match evaluate(expression, known)? {
        Number::Plain(number) => Some(number),
        Number::Milliseconds(_) => None,
    }
}

fn calculate(binary: &ExprBinary, known: &BTreeMap<String, Number>) -> Option<Number> {
    let (left, right) = (plain(&binary.left, known)?, plain(&binary.right, known)?);
    let result = match binary.op {
        BinOp::Add(_) => left.checked_add(right),
        BinOp::Sub(_) => left.checked_sub(right),
        BinOp::Mul(_) => left.checked_mul(right),
        BinOp::Div(_) => left.checked_div(right),
        BinOp::Shl(_) => left.checked_shl(u32::try_from(right).ok()?),
        _ => None,
    };
    result.map(Number::Plain)
}

/// `Duration::from_secs(5)` and its like.
fn constructed(call: &ExprCall, known: &BTreeMap<String, Number>) -> Option<Number> {
    let Expr::Path(function) = &*call.func else { return None };
    let unit = match function.path.segments.last()?.ident.to_string().as_str() {
        "from_millis" => 1,
        "from_secs" => 1000,
        "from_mins" => 60_000,
        "from_hours" => 3_600_000,
        _ => return None,
    };
    Some(Number::Milliseconds(plain(call.args.first()?, known)?.checked_mul(unit)?))
}

/// `LEASE.saturating_add(Duration::from_secs(5))` and its like.
fn called(call: &ExprMethodCall, known: &BTreeMap<String, Number>) -> Option<Number> {
    let receiver = evaluate(&call.receiver, known)?;
    let argument = call.args.first().and_then(|argument| evaluate(argument, known));
    let (Number::Plain(left) | Number::Milliseconds(left)) = receiver;
    let result = match (call.method.to_string().as_str(), argument) {
        ("unsigned_abs", None) => left.checked_abs()?,
        ("saturating_add", Some(Number::Plain(right) | Number::Milliseconds(right))) => {
            left.checked_add(right)?
        }
        ("saturating_sub", Some(Number::Plain(right) | Number::Milliseconds(right))) => {
            left.checked_sub(right)?
        }
        _ => return None,
    };
    Some(match receiver {
        Number::Plain(_) => Number::Plain(result),
        Number::Milliseconds(_) => Number::Milliseconds(result),
    })
}

/// The value as people read it; the unit of a plain number stands in its name.
pub(super) fn shown(name: &str, number: Number) -> String {
    let milliseconds = |count: i128| Duration::from_millis(u64::try_from(count).unwrap_or(u64::MAX));
    match number {
        Number::Milliseconds(count) => time(milliseconds(count)),
        Number::Plain(count) if name.contains("SECONDS") => time(milliseconds(count.saturating_mul(1000))),
        Number::Plain(count) if name.contains("BYTES") => bytes(u64::try_from(count).unwrap_or(u64::MAX)),
        Number::Plain(count) => digits(count),
    }
}

/// A time in its largest whole unit: `90 s`, `5 min`, `30 days`.
pub fn time(time: Duration) -> String {
    let milliseconds = time.as_millis();
    for (unit, name) in [(86_400_000, "days"), (3_600_000, "h"), (60_000, "min"), (1000, "s")] {
        if milliseconds >= unit && milliseconds.is_multiple_of(unit) {
            let name = if name == "days" && milliseconds == unit { "day" } else { name };
            return format!("{} {name}", milliseconds / unit);
        }
    }
    format!("{milliseconds} ms")
}

/// A size in its largest whole unit: `512 bytes`, `64 KiB`, `1 MiB`.
pub fn bytes(bytes: u64) -> String {
    for (unit, name) in [(1 << 20, "MiB"), (1 << 10, "KiB")] {
        if bytes >= unit && bytes.is_multiple_of(unit) {
            return format!("{} {name}", bytes / unit);
        }
    }
    format!("{} bytes", digits(bytes.into()))
}

/// Digits in groups of three.
fn digits(number: i128) -> String {
    let plain = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (index, digit) in plain.chars().enumerate() {
        if index > 0 && (plain.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if number < 0 { format!("-{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(name: &str, expression: &str) -> Option<String> {
        let known = BTreeMap::from([
            ("DAY".to_owned(), Number::Plain(86_400)),
            ("LEASE".to_owned(), Number::Milliseconds(60_000)),
        ]);
        evaluate(&syn::parse_str(expression).unwrap(), &known).map(|number| shown(name, number))
    }

    #[test]
    fn values_are_worked_out_and_written_for_people() {
        for (name, expression, expected) in [
            ("MOST", "1_000_000", "1,000,000"),
            ("MAX_BYTES", "4 * 1024 * 1024", "4 MiB"),
            ("MAX_BYTES", "700_000", "700,000 bytes"),
            ("KEPT_SECONDS", "30 * DAY", "30 days"),
            ("KEPT_SECONDS", "90", "90 s"),
            ("WAIT", "Duration::from_millis(1500)", "1500 ms"),
            ("WAIT", "SignedDuration::from_hours(24)", "1 day"),
            ("BELIEVED", "LEASE.unsigned_abs().saturating_sub(Duration::from_secs(5))", "55 s"),
            ("SAFE", "1 << 53", "9,007,199,254,740,992"),
            ("LIMIT", "(super::DAY as usize) - 1", "86,399"),
        ] {
            assert_eq!(value(name, expression).as_deref(), Some(expected), "{expression}");
        }
        for unknown in ["i64::MIN", "other()", "UNKNOWN + 1", "LEASE * 2", "\"text\""] {
            assert_eq!(value("X", unknown), None, "{unknown}");
        }
    }
}

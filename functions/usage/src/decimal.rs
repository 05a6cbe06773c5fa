//! Exact numbers with six decimals, for quantities and money alike, kept as whole millionths. A decimal library of
//! 28 digits would round where a large quantity meets a small price; whole numbers of 128 bits do not.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub};

use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Number;

/// Millionths in one.
const SCALE: i128 = 1_000_000;
/// The largest number that is read, in whole units.
pub const MAX_UNITS: i64 = 1_000_000_000_000;
/// Digits that a JSON number with a fraction keeps on its way through other programs.
const SAFE_DIGITS: usize = 15;

/// A number with six decimals. In JSON it is text, such as `"0.875000"`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decimal(i128);

impl Decimal {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// So many millionths.
    pub const fn from_millionths(millionths: i128) -> Self {
        Self(millionths)
    }

    /// A whole number.
    pub const fn from_units(units: i64) -> Self {
        Self(units as i128 * SCALE)
    }

    /// The millionths.
    pub const fn millionths(self) -> i128 {
        self.0
    }

    /// Whole units and the millionths beyond them; for a number that is not negative.
    pub fn split(self) -> (i64, i64) {
        let part = |value: i128| i64::try_from(value).unwrap_or(i64::MAX);
        (part(self.0 / SCALE), part(self.0 % SCALE))
    }

    /// The number of [`Decimal::split`] again.
    pub const fn join(units: i64, millionths: i64) -> Self {
        Self(units as i128 * SCALE + millionths as i128)
    }

    /// Reads digits with at most six decimals; no sign, no exponent, at most [`MAX_UNITS`].
    pub fn parse(text: &str) -> Option<Self> {
        let (units, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(units) || !digits(fraction) || fraction.len() > 6 {
            return None;
        }
        let units: i64 = units.parse().ok().filter(|units| *units <= MAX_UNITS)?;
        let millionths: i64 = format!("{fraction:0<6}").parse().ok()?;
        Some(Self::join(units, millionths)).filter(|number| *number <= Self::from_units(MAX_UNITS))
    }

    /// Reads a JSON number that is not negative and has at most six decimals. One with a fraction has at most 15
    /// digits: its shortest text is then the number that was written.
    pub fn from_number(number: &Number) -> Option<Self> {
        let text = match number.as_f64() {
            Some(float) if number.is_f64() => float.to_string(),
            _ => number.to_string(),
        };
        let digits = text.bytes().filter(u8::is_ascii_digit).count();
        Self::parse(&text).filter(|_| !text.contains('.') || digits <= SAFE_DIGITS)
    }

    /// Half-even to a whole number.
    pub fn rounded(self) -> i64 {
        i64::try_from(divide_half_even(self.0, SCALE)).unwrap_or(i64::MAX)
    }

    /// What part of `whole` this is, in percent, half-even at six decimals; nothing of nothing.
    pub fn percent_of(self, whole: Self) -> Self {
        if whole.0 == 0 { Self::ZERO } else { Self(divide_half_even(self.0 * 100 * SCALE, whole.0)) }
    }

    /// So many hundredths of the number.
    pub fn percent(self, percent: u32) -> Self {
        Self(divide_half_even(self.0 * i128::from(percent), 100))
    }

    /// The number times a fraction, half-even at six decimals. The denominator is positive.
    pub fn times_ratio(self, numerator: i128, denominator: i128) -> Self {
        Self(divide_half_even(self.0 * numerator, denominator))
    }

    /// The difference, or nothing.
    pub fn less(self, other: Self) -> Self {
        Self((self.0 - other.0).max(0))
    }
}

/// Division with ties to the even neighbour. The denominator is positive.
pub fn divide_half_even(numerator: i128, denominator: i128) -> i128 {
    round_half_even(numerator.div_euclid(denominator), numerator.rem_euclid(denominator), denominator)
}

/// The quotient rounded by what is left of the division: `0 <= rest < denominator`.
pub fn round_half_even(quotient: i128, rest: i128, denominator: i128) -> i128 {
    match (rest * 2).cmp(&denominator) {
        std::cmp::Ordering::Less => quotient,
        std::cmp::Ordering::Greater => quotient + 1,
        std::cmp::Ordering::Equal => quotient + quotient.rem_euclid(2),
    }
}

impl Add for Decimal {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl AddAssign for Decimal {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl Sub for Decimal {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Sum for Decimal {
    fn sum<I: Iterator<Item = Self>>(numbers: I) -> Self {
        numbers.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (units, millionths) = (self.0.unsigned_abs() / 1_000_000, self.0.unsigned_abs() % 1_000_000);
        write!(out, "{sign}{units}.{millionths:06}")
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (sign, digits) = text.strip_prefix('-').map_or((1, text.as_str()), |digits| (-1, digits));
        let number = Self::parse(digits).map(|number| Self(number.0 * sign));
        number.ok_or_else(|| D::Error::custom("a decimal has digits and at most six decimals"))
    }
}

impl JsonSchema for Decimal {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Decimal".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string", "pattern": r"^-?[0-9]{1,13}(\.[0-9]{1,6})?$", "maxLength": 21,
        })
    }
}

/// A decimal that is a number in JSON: what is shown of quantities, and how events keep them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity(pub Decimal);

impl Quantity {
    /// The JSON number. Beyond 15 digits a fraction is shown as near as a JSON number comes.
    pub fn number(self) -> Number {
        let millionths = self.0.millionths();
        if millionths % SCALE == 0 {
            return i64::try_from(millionths / SCALE).unwrap_or(i64::MAX).into();
        }
        self.0.to_string().parse().ok().and_then(Number::from_f64).unwrap_or_else(|| 0.into())
    }
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.number().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = Number::deserialize(deserializer)?;
        let parsed = Decimal::from_number(&number).map(Self);
        parsed.ok_or_else(|| {
            let message = "a quantity is 0 to 1,000,000,000,000 with at most 6 decimals and 15 digits";
            D::Error::custom(message)
        })
    }
}

impl JsonSchema for Quantity {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Quantity".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "number"})
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::{Decimal, Quantity, divide_half_even};

    #[test]
    fn ties_go_to_the_even_neighbour() {
        for (numerator, denominator, expected) in [
            (5, 2, 2),
            (7, 2, 4),
            (6, 4, 2),
            (-5, 2, -2),
            (-7, 2, -4),
            (8, 3, 3),
            (7, 3, 2),
            (0, 9, 0),
            (-1, 3, 0),
        ] {
            assert_eq!(divide_half_even(numerator, denominator), expected, "{numerator}/{denominator}");
        }
        let rounded = |text| Decimal::parse(text).unwrap().rounded();
        assert_eq!([rounded("0.5"), rounded("1.5"), rounded("2.5"), rounded("0.500001")], [0, 2, 2, 1]);
    }

    #[test]
    fn only_plain_numbers_of_six_decimals_are_read() {
        assert_eq!(Decimal::parse("0.0125").unwrap().to_string(), "0.012500");
        assert_eq!(Decimal::parse("1000000000000").unwrap().to_string(), "1000000000000.000000");
        for text in
            ["", ".", "1.", ".5", "-1", "+1", "1e3", "0.0000001", "1 ", "1000000000000.1", "9999999999999"]
        {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_of_json_are_read_exactly_or_not_at_all() {
        let read = |value: serde_json::Value| {
            serde_json::from_value::<Quantity>(value).ok().map(|read| read.0.to_string())
        };
        assert_eq!(read(json!(0.1)).as_deref(), Some("0.100000"));
        assert_eq!(read(json!(0.000_001)).as_deref(), Some("0.000001"));
        assert_eq!(read(json!(1500)).as_deref(), Some("1500.000000"));
        assert_eq!(read(json!(1500.0)).as_deref(), Some("1500.000000"));
        for bad in [
            json!(-1),
            json!(0.000_000_1),
            json!(1e300),
            json!(1_234_567_890.123_456),
            json!("1"),
            json!(null),
        ] {
            assert_eq!(read(bad.clone()), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn text_and_numbers_come_back(millionths in 0_i128..1_000_000_000_000_000) {
            let decimal = Decimal::from_millionths(millionths);
            let text = serde_json::to_value(decimal).unwrap();
            prop_assert_eq!(serde_json::from_value::<Decimal>(text).unwrap(), decimal);
            let number = serde_json::to_value(Quantity(decimal)).unwrap();
            prop_assert_eq!(serde_json::from_value::<Quantity>(number).unwrap().0, decimal);
            let (units, rest) = decimal.split();
            prop_assert_eq!(Decimal::join(units, rest), decimal);
        }
    }
}

//! Files of variables. The accepted subset, one variable a line:
//!
//! - empty lines, and lines that begin with `#`, are skipped; `export ` before a name is ignored;
//! - `NAME=value` ends at the line's end or before ` #`; spaces around it are cut;
//! - `NAME='value'` is taken as it is; `NAME="value"` knows `\n`, `\r`, `\t`, `\"`, `\\` and `\$`;
//! - nothing is replaced by other variables' values, and no value goes over several lines.
//!
//! Errors name the line and never quote it.

use coder_vault::Zeroizing;

use crate::value::is_variable_name;

/// A variable with its line, which counts from 1.
#[derive(PartialEq, Eq)]
pub struct Variable {
    /// The line.
    pub line: usize,
    /// The name.
    pub name: String,
    /// The value.
    pub value: Zeroizing<String>,
}

/// A line that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong, for people.
    pub message: &'static str,
}

impl std::fmt::Debug for Variable {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Variable")
            .field("line", &self.line)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Reads every line; those that cannot be read do not stop the others.
pub fn parse(content: &str) -> (Vec<Variable>, Vec<LineError>) {
    let (mut variables, mut errors) = (Vec::new(), Vec::new());
    for (index, text) in content.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = index + 1;
        match variable(text.trim()) {
            Ok(None) => {}
            Ok(Some((name, value))) => variables.push(Variable { line, name: name.to_owned(), value }),
            Err(message) => errors.push(LineError { line, message }),
        }
    }
    (variables, errors)
}

type Pair<'a> = (&'a str, Zeroizing<String>);

fn variable(text: &str) -> Result<Option<Pair<'_>>, &'static str> {
    if text.is_empty() || text.starts_with('#') {
        return Ok(None);
    }
    let text = text.strip_prefix("export ").map_or(text, str::trim_start);
    let (name, value) = text.split_once('=').ok_or("There is no `=`.")?;
    let name = name.trim_end();
    if !is_variable_name(name) {
        return Err("The name is not of letters, digits and `_`, or begins with a digit.");
    }
    read_value(value.trim()).map(|value| Some((name, value)))
}

fn read_value(text: &str) -> Result<Zeroizing<String>, &'static str> {
    let (value, rest) = match text.chars().next() {
        Some('\'') => {
            let (value, rest) = text[1..].split_once('\'').ok_or("A quote is not closed on its line.")?;
            (Zeroizing::new(value.to_owned()), rest)
        }
        Some('"') => double_quoted(&text[1..])?,
        _ => {
            let end = text.find(" #").unwrap_or(text.len());
            let value = if text.starts_with('#') { "" } else { text[..end].trim_end() };
            return Ok(Zeroizing::new(value.to_owned()));
        }
    };
    let rest = rest.trim_start();
    if rest.is_empty() || rest.starts_with('#') {
        Ok(value)
    } else {
        Err("Something stands after the closing quote.")
    }
}

fn double_quoted(text: &str) -> Result<(Zeroizing<String>, &str), &'static str> {
    let mut value = Zeroizing::new(String::with_capacity(text.len()));
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => value.push(match characters.next().map(|(_, next)| next) {
                Some('n') => '\n',
                Some('r') => '\r',
                Some('t') => '\t',
                Some(same @ ('"' | '\\' | '$')) => same,
                _ => return Err("A backslash stands before a character that it does not change."),
            }),
            other => value.push(other),
        }
    }
    Err("A quote is not closed on its line.")
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[track_caller]
    fn check(content: &str, expected: &[(&str, &str)]) {
        let (variables, errors) = parse(content);
        assert_eq!(errors, []);
        let found: Vec<_> = variables.iter().map(|one| (one.name.as_str(), one.value.as_str())).collect();
        assert_eq!(found, expected, "{content:?}");
    }

    #[test]
    fn reads_the_subset() {
        check(
            "A=1\n\n# note\n  B = two words # note\nexport C=3\r\n",
            &[("A", "1"), ("B", "two words"), ("C", "3")],
        );
        check("A=\nB=#x\nC=a#b\nD==", &[("A", ""), ("B", ""), ("C", "a#b"), ("D", "=")]);
        check("A='it # is \"$X\" \\n' # note", &[("A", "it # is \"$X\" \\n")]);
        check(r#"A="a\nb\t\"c\" \\ \$X # not a note""#, &[("A", "a\nb\t\"c\" \\ $X # not a note")]);
        check("\u{feff}A=é", &[("A", "é")]);
        check("A=${B}", &[("A", "${B}")]);
        check("", &[]);
    }

    #[test]
    fn a_bad_line_is_named_and_not_quoted() {
        let content = "A=1\nhunter2\n1B=hunter2\nC='hunter2\nD=\"hunter2\nE=\"a\" hunter2\nF=\"\\x\"\nexport=\nG H=1\nZ=2";
        let (variables, errors) = parse(content);
        let names: Vec<_> = variables.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["A", "export", "Z"]);
        assert_eq!(errors.iter().map(|error| error.line).collect::<Vec<_>>(), [2, 3, 4, 5, 6, 7, 9]);
        assert!(!format!("{errors:?} {variables:?}").contains("hunter2"));
    }
}

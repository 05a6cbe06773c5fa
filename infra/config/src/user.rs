//! Who runs the program, as the operating system says: for the audit of what is done at the keyboard.

/// Variables that name the person, the usual one first.
const NAMES: [&str; 3] = ["USER", "LOGNAME", "USERNAME"];

/// Longest name that is believed, in characters.
const LONGEST: usize = 64;

/// The name of the person at the keyboard; `unknown` where the environment does not say. It is no proof of who
/// somebody is.
#[expect(clippy::disallowed_methods, reason = "the crate that reads the environment")]
pub fn os_user() -> String {
    choose(NAMES.iter().filter_map(|name| std::env::var(name).ok()))
}

fn choose(mut names: impl Iterator<Item = String>) -> String {
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '@' | '\\');
    let believed =
        |name: &String| !name.is_empty() && name.chars().count() <= LONGEST && name.chars().all(fits);
    names.find(believed).unwrap_or_else(|| "unknown".to_owned())
}

#[cfg(test)]
mod tests {
    use super::choose;

    #[test]
    fn the_first_name_that_is_one_counts() {
        let choose = |names: &[&str]| choose(names.iter().map(|name| (*name).to_owned()));
        assert_eq!(choose(&["", "ada"]), "ada");
        assert_eq!(choose(&["a b", &"x".repeat(65), "grace\n", "edsger"]), "edsger");
        assert_eq!(choose(&[]), "unknown");
    }
}

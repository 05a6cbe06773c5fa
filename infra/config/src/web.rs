//! Addresses in settings: base addresses, browser origins and redirect targets.

use url::{Host, Url};

/// Whether the address leads to this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// An `http` or `https` address. With `secure`, `http` only leads to this machine.
fn web(text: &str, secure: bool) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("`{text}` is not an address: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("`{text}` is neither http nor https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        // Not repeated: it holds a password.
        return Err("the address holds a user name or password".to_owned());
    }
    if secure && url.scheme() == "http" && !is_loopback(&url) {
        return Err(format!("`{text}` is not https"));
    }
    Ok(url)
}

/// A server's address: scheme, host and port, nothing after them.
pub(crate) fn base(text: &str) -> Result<Url, String> {
    let url = web(text, false)?;
    if url.path() == "/" && url.query().is_none() && url.fragment().is_none() {
        Ok(url)
    } else {
        Err(format!("`{text}` has more than scheme, host and port"))
    }
}

/// An origin as browsers write it.
pub(crate) fn origin(text: &str, secure: bool) -> Result<String, String> {
    if text == "*" {
        return Err("`*` would let every site call the API in the name of whoever visits it".to_owned());
    }
    base(text).and_then(|_| web(text, secure)).map(|url| url.origin().ascii_serialization())
}

/// A redirect target: compared exactly, so without a fragment (RFC 6749, 3.1.2).
pub(crate) fn redirect(text: &str, secure: bool) -> Result<Url, String> {
    let url = web(text, secure)?;
    if url.fragment().is_some() { Err(format!("`{text}` has a fragment")) } else { Ok(url) }
}

/// A host name or address without scheme, port or path.
pub(crate) fn host(text: &str) -> Result<String, String> {
    match Host::parse(text) {
        Ok(host) => Ok(host.to_string()),
        Err(error) => Err(format!("`{text}` is not a host name: {error}")),
    }
}

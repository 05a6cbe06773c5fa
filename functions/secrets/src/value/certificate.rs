//! When a certificate ends.

use coder_core::Timestamp;
use x509_cert::Certificate;
use x509_cert::der::DecodePem as _;

/// The end of validity of a certificate in PEM; `None` if it is none.
pub(crate) fn not_after(pem: &str) -> Option<Timestamp> {
    let certificate = Certificate::from_pem(pem.trim()).ok()?;
    let end = certificate.tbs_certificate().validity().not_after.to_unix_duration();
    Timestamp::from_second(i64::try_from(end.as_secs()).ok()?).ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::not_after;

    /// Self-signed for tests: `openssl req -x509 -newkey ed25519 -nodes -days 365 -subj /CN=test`.
    pub(crate) const PEM: &str = include_str!("certificate-for-tests.pem");

    #[test]
    fn the_end_is_read_off_the_certificate() {
        assert_eq!(not_after(PEM).unwrap().to_string(), EXPECTED);
        for wrong in ["", "hunter2", &PEM.replace("CERTIFICATE", "PUBLIC KEY"), &PEM[..PEM.len() / 2]] {
            assert_eq!(not_after(wrong), None);
        }
    }

    const EXPECTED: &str = "2027-11-23T14:46:13Z";
}

//! One-time passwords by time (RFC 6238): SHA-1, six digits, steps of 30 seconds, one step of tolerance.

use aws_lc_rs::hmac;
use coder_core::{Ambient, Timestamp, UserId};
use coder_vault::{Sealer, VaultError};
use data_encoding::BASE32_NOPAD;
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use url::Url;

use crate::digest::same;
use crate::model::TotpFactor;

/// Seconds that a code is shown.
pub const STEP_SECONDS: i64 = 30;
/// Steps before and after the present one whose codes are taken.
const TOLERANCE: u64 = 1;
const DIGITS: usize = 6;
const SECRET_BYTES: usize = 20;

/// The secret that an authenticator app shares.
#[derive(Debug, Clone)]
pub struct TotpSecret(SecretSlice<u8>);

impl TotpSecret {
    /// Makes a secret of 160 bits.
    pub fn generate(ambient: &Ambient) -> Self {
        Self::from_bytes(ambient.random::<SECRET_BYTES>().to_vec())
    }

    fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }

    /// Seals the secret for its document.
    pub fn seal(&self, user_id: UserId, sealer: &Sealer) -> String {
        sealer.seal(self.expose_bytes(), &seal_context(user_id))
    }

    /// Opens a stored secret.
    pub fn open(factor: &TotpFactor, user_id: UserId, sealer: &Sealer) -> Result<Self, VaultError> {
        Ok(Self::from_bytes(sealer.open(&factor.secret, &seal_context(user_id))?.to_vec()))
    }

    fn expose_bytes(&self) -> &[u8] {
        self.0.expose_secret()
    }

    /// Base 32, for typing.
    pub fn to_base32(&self) -> SecretString {
        BASE32_NOPAD.encode(self.expose_bytes()).into()
    }

    /// The address that an authenticator app scans.
    pub fn otpauth_uri(&self, issuer: &str, account: &str) -> SecretString {
        // An opaque path takes no escapes from `Url`; the label is built from a path segment of a plain one.
        let label = |text: &str| {
            let mut url = Url::parse("otpauth://totp/").ok()?;
            url.path_segments_mut().ok()?.pop_if_empty().push(&text.replace(':', " "));
            Some(url.path().trim_start_matches('/').to_owned())
        };
        let (issuer, account) = (label(issuer).unwrap_or_default(), label(account).unwrap_or_default());
        let secret = self.to_base32();
        let secret = secret.expose_secret();
        format!(
            "otpauth://totp/{issuer}:{account}?secret={secret}&issuer={issuer}&algorithm=SHA1&digits={DIGITS}&period={STEP_SECONDS}"
        )
        .into()
    }

    /// The time step that the code is of, if it is the present one or a neighbour and later than the last
    /// accepted one. All candidates are computed and compared, so that the time tells nothing.
    pub fn accept(&self, code: &str, now: Timestamp, last_accepted: Option<u64>) -> Option<u64> {
        let present = step_at(now);
        let mut accepted = None;
        for step in present.saturating_sub(TOLERANCE)..=present + TOLERANCE {
            let fits = same(self.code(step).as_bytes(), code.as_bytes());
            if fits && last_accepted.is_none_or(|last| step > last) {
                accepted = Some(step);
            }
        }
        accepted
    }

    fn code(&self, step: u64) -> String {
        format!("{:0width$}", truncated(self.expose_bytes(), step) % 10_u32.pow(6), width = DIGITS)
    }
}

/// Binds a sealed secret to its owner.
fn seal_context(user_id: UserId) -> String {
    format!("totp-factor/{user_id}")
}

/// The step that a time is in.
fn step_at(now: Timestamp) -> u64 {
    u64::try_from(now.as_second().div_euclid(STEP_SECONDS)).unwrap_or(0)
}

/// The dynamic truncation of RFC 4226, section 5.3: 31 bits of the HMAC.
fn truncated(secret: &[u8], step: u64) -> u32 {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    let offset = usize::from(tag[tag.len() - 1] & 0x0f);
    tag[offset..offset + 4].iter().fold(0, |number, byte| number << 8 | u32::from(*byte)) & 0x7fff_ffff
}

#[cfg(test)]
mod tests {
    use coder_core::{Ambient, Timestamp};
    use coder_vault::Sealer;
    use jiff::SignedDuration;
    use secrecy::ExposeSecret as _;

    use super::{TotpSecret, step_at, truncated};
    use crate::model::{FactorState, TotpFactor};

    const SECRET: &[u8] = b"12345678901234567890";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn secret() -> TotpSecret {
        TotpSecret::from_bytes(SECRET.to_vec())
    }

    #[test]
    fn computes_the_vectors_of_rfc_6238() {
        for (second, expected) in [
            (59, "94287082"),
            (1_111_111_109, "07081804"),
            (1_111_111_111, "14050471"),
            (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"),
            (20_000_000_000, "65353130"),
        ] {
            let eight = format!("{:08}", truncated(SECRET, step_at(at(second))) % 100_000_000);
            assert_eq!(eight, expected, "{second}");
            assert_eq!(secret().accept(&expected[2..], at(second), None), Some(step_at(at(second))));
        }
    }

    #[test]
    fn computes_the_vectors_of_rfc_4226() {
        let codes: Vec<_> = (0..10).map(|step| secret().code(step)).collect();
        assert_eq!(
            codes,
            [
                "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871",
                "520489"
            ]
        );
    }

    #[test]
    fn takes_one_step_of_tolerance_and_no_more() {
        let now = at(1_111_111_109);
        let code = secret().code(step_at(now));
        for (seconds, taken) in [(-60, false), (-30, true), (0, true), (30, true), (60, false)] {
            let then = now + SignedDuration::from_secs(seconds);
            assert_eq!(secret().accept(&code, then, None).is_some(), taken, "{seconds}");
        }
    }

    #[test]
    fn takes_no_step_twice_nor_an_earlier_one() {
        let now = at(1_111_111_109);
        let step = step_at(now);
        let secret = secret();
        assert_eq!(secret.accept(&secret.code(step), now, Some(step - 1)), Some(step));
        assert_eq!(secret.accept(&secret.code(step), now, Some(step)), None);
        assert_eq!(secret.accept(&secret.code(step - 1), now, Some(step)), None);
        assert_eq!(secret.accept(&secret.code(step + 1), now, Some(step)), Some(step + 1));
    }

    #[test]
    fn refuses_other_codes() {
        for code in ["", "000000", "28708", "2870822", "94287082", "abcdef", "２８７０８２"] {
            assert_eq!(secret().accept(code, at(59), None), None, "{code}");
        }
    }

    #[test]
    fn writes_the_uri_of_an_app() {
        let uri = secret().otpauth_uri("Coder IDE", "ada+x@example.com");
        assert_eq!(
            uri.expose_secret(),
            "otpauth://totp/Coder%20IDE:ada+x@example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
             &issuer=Coder%20IDE&algorithm=SHA1&digits=6&period=30"
        );
        let odd = secret().otpauth_uri("A:B&c=?#", "x/y%z");
        assert!(
            odd.expose_secret().starts_with("otpauth://totp/A%20B&c=%3F%23:x%2Fy%25z?"),
            "{}",
            odd.expose_secret()
        );
        assert!(!format!("{:?}", secret()).contains("49"));
    }

    #[test]
    fn a_stored_secret_opens_for_its_owner_only() {
        let ambient = Ambient::system();
        let sealer = Sealer::new(&[7; 32], ambient.clone());
        let (ada, eve) = (ambient.new_id(), ambient.new_id());
        let factor = TotpFactor {
            secret: secret().seal(ada, &sealer),
            state: FactorState::Active,
            last_accepted_step: None,
            recovery_codes: Vec::new(),
        };
        assert_eq!(TotpSecret::open(&factor, ada, &sealer).unwrap().expose_bytes(), SECRET);
        assert!(TotpSecret::open(&factor, eve, &sealer).is_err());
    }

    #[test]
    fn generates_160_bits() {
        let secret = TotpSecret::generate(&Ambient::system());
        assert_eq!((secret.expose_bytes().len(), secret.to_base32().expose_secret().len()), (20, 32));
    }
}

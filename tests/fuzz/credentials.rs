//! What proves something: a change of one character must not leave it good, and nothing has two spellings.

use std::sync::LazyLock;

use coder_auth::api_key::{NewApiKey, PresentedApiKey};
use coder_auth::model::RecoveryCode;
use coder_auth::one_time_token::PresentedToken;
use coder_auth::recovery_code;
use coder_auth::refresh::{PresentedRefreshToken, RefreshTokens, new_salt};
use coder_core::cursor::CursorSealer;
use coder_core::{Ambient, SessionId, Timestamp, UserId};
use coder_middleware::token::ServiceTokens;
use coder_notifications::unsubscribe;
use coder_vault::Sealer;
use secrecy::ExposeSecret as _;

use crate::target;

static AMBIENT: LazyLock<Ambient> = LazyLock::new(Ambient::system);

static API_KEY: LazyLock<String> =
    LazyLock::new(|| NewApiKey::generate(&AMBIENT).key.expose_secret().to_owned());

target! {
    /// A key has its form and its checksum; with any one character changed it has not.
    api_keys(material, std::slice::from_ref(&API_KEY)) {
        let text = &material.text;
        let Some(key) = PresentedApiKey::parse(text) else {
            assert_ne!(*text, *API_KEY);
            return;
        };
        assert!(text.starts_with("ck_") && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
        assert_eq!(text.split('_').nth(1), Some(key.key_id.as_str()));
        let mut changed = text.clone().into_bytes();
        let at = material.choose(0, changed.len());
        changed[at] = if changed[at] == b'x' { b'y' } else { b'x' };
        assert_eq!(PresentedApiKey::parse(std::str::from_utf8(&changed).unwrap()), None);
    }
}

struct Refresh {
    tokens: RefreshTokens,
    user_id: UserId,
    session_id: SessionId,
    salt: String,
    token: String,
}

static REFRESH: LazyLock<Refresh> = LazyLock::new(|| {
    let (tokens, salt) = (RefreshTokens::new(&[7; 32]), new_salt(&AMBIENT));
    let (user_id, session_id) = (AMBIENT.new_id(), AMBIENT.new_id());
    let token = tokens.issue(user_id, session_id, 3, &salt).expose_secret().to_owned();
    Refresh { tokens, user_id, session_id, salt, token }
});

target! {
    /// Whatever proves a generation is, to the last character, the token that was issued for it.
    refresh_tokens(material, std::slice::from_ref(&REFRESH.token)) {
        let ours = &*REFRESH;
        let presented = PresentedRefreshToken::parse(&material.text);
        let proven = presented.as_ref().and_then(|token| ours.tokens.prove(token, &ours.salt));
        let (Some(presented), Some(generation)) = (presented, proven) else {
            assert_ne!(material.text, ours.token);
            return;
        };
        assert_eq!((presented.session_id, generation.get()), (ours.session_id, 3));
        let issued = ours.tokens.issue(presented.user_id, ours.session_id, 3, &ours.salt);
        assert_eq!(issued.expose_secret(), material.text);
        assert!(presented.user_id == ours.user_id || material.text != ours.token);
        assert!(ours.tokens.prove(&presented, "another salt").is_none());
    }
}

target! {
    /// Two texts are never one token.
    one_time_tokens(material) {
        let (first, second) = material.halves('\n');
        let (one, other) = (PresentedToken::parse(first), PresentedToken::parse(second));
        if let (Some(one), Some(other)) = (&one, &other) {
            assert_eq!(one == other, first == second, "{first} {second}");
        }
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        assert!(one.is_none() || plain(first));
    }
}

static RECOVERY: LazyLock<(Vec<RecoveryCode>, String)> = LazyLock::new(|| {
    let (codes, stored) = recovery_code::generate(&AMBIENT);
    (stored, codes[0].expose_secret().to_owned())
});

target! {
    /// A code is good however a person writes it down, and once.
    recovery_codes(material, std::slice::from_ref(&RECOVERY.1)) {
        let ((stored, code), text) = (&*RECOVERY, &material.text);
        let mut stored = stored.clone();
        let plain = |text: &str| -> String {
            let letters = text.chars().filter(|c| !c.is_whitespace() && *c != '-');
            let letter = |c: char| match c.to_ascii_uppercase() {
                '0' => 'O',
                '1' => 'I',
                '8' => 'B',
                other => other,
            };
            letters.map(letter).collect()
        };
        let good = recovery_code::consume(&mut stored, text, Timestamp::UNIX_EPOCH);
        assert_eq!(good, text.len() <= 32 && plain(text) == plain(code), "{text:?} for {code}");
        assert_eq!(recovery_code::unused(&stored), recovery_code::COUNT - usize::from(good));
        assert!(!recovery_code::consume(&mut stored, text, Timestamp::UNIX_EPOCH));
    }
}

const MAIL: [u8; 32] = [11; 32];

static UNSUBSCRIBE: LazyLock<(UserId, String)> = LazyLock::new(|| {
    let user_id = AMBIENT.new_id();
    (user_id, unsubscribe::issue(&MAIL, user_id, "task.assigned"))
});

target! {
    /// A link switches off what it was made for, in the one spelling.
    unsubscribe_tokens(material, std::slice::from_ref(&UNSUBSCRIBE.1)) {
        let (user_id, token) = &*UNSUBSCRIBE;
        let named = unsubscribe::open(&MAIL, &material.text);
        let expected = (material.text == *token).then(|| (*user_id, "task.assigned".to_owned()));
        assert_eq!(named, expected, "{}", material.text);
        assert_eq!(unsubscribe::open(&[12; 32], &material.text), None);
    }
}

static CURSORS: LazyLock<CursorSealer> = LazyLock::new(|| CursorSealer::new(&[9; 32]));

target! {
    /// What opens is what was sealed, for this query, in the one spelling.
    cursors(material, &[CURSORS.seal("position", "query"), CURSORS.seal("", "query"), CURSORS.seal("é", "other")]) {
        for query in ["query", "other", ""] {
            if let Some(position) = CURSORS.open(&material.text, query) {
                assert_eq!(CURSORS.seal(&position, query), material.text);
                assert!(["position", "", "é"].contains(&position.as_str()), "{position} was never sealed");
            }
        }
    }
}

static SERVICES: LazyLock<(ServiceTokens, String)> = LazyLock::new(|| {
    let tokens = ServiceTokens::new(AMBIENT.clone(), &[3; 32]);
    let token = tokens.issue("users", "auth", None).unwrap();
    (tokens, token)
});

target! {
    /// A token is good for its audience, and in no other spelling.
    service_tokens(material, std::slice::from_ref(&SERVICES.1)) {
        let (tokens, token) = &*SERVICES;
        if tokens.verify(&material.text, "auth").is_ok() {
            assert_eq!(material.text, *token);
        }
        assert!(tokens.verify(&material.text, "users").is_err());
    }
}

static SEALED: LazyLock<(Sealer, String)> = LazyLock::new(|| {
    let sealer = Sealer::new(&[5; 32], AMBIENT.clone());
    let sealed = sealer.seal(b"plain", "context");
    (sealer, sealed)
});

target! {
    /// A sealed text opens unchanged, in its context, or not at all.
    sealed_texts(material, std::slice::from_ref(&SEALED.1)) {
        let (sealer, box_text) = &*SEALED;
        match sealer.open(&material.text, "context") {
            Ok(plain) => assert_eq!((&material.text, plain.as_slice()), (box_text, b"plain".as_slice())),
            Err(_) => assert_ne!(material.text, *box_text),
        }
        assert!(sealer.open(&material.text, "another").is_err());
    }
}

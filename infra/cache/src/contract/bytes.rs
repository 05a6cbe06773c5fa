//! Bytes are kept until their time is over, and come back as they were.

use std::time::Duration;

use jiff::SignedDuration;

use super::Subject;

const MINUTE: Duration = Duration::from_mins(1);

pub async fn keeps_until_the_time_is_over(subject: &Subject) {
    let Subject { cache, clock, .. } = subject;
    cache.put("key", (*b"value").into(), MINUTE).await;
    assert_eq!(cache.get("key").await.as_deref(), Some(&b"value"[..]));
    clock.advance(SignedDuration::from_millis(59_999));
    assert!(cache.get("key").await.is_some());
    clock.advance(SignedDuration::from_millis(1));
    assert!(cache.get("key").await.is_none());
    clock.advance(SignedDuration::from_mins(-1));
    assert!(cache.get("key").await.is_none(), "what was found too old is gone");
}

pub async fn replaces_and_removes(subject: &Subject) {
    let Subject { cache, clock, .. } = subject;
    cache.put("key", (*b"old").into(), MINUTE).await;
    clock.advance(SignedDuration::from_secs(30));
    cache.put("key", (*b"new").into(), MINUTE).await;
    clock.advance(SignedDuration::from_secs(45));
    assert_eq!(cache.get("key").await.as_deref(), Some(&b"new"[..]));
    cache.remove("key").await;
    assert!(cache.get("key").await.is_none());
    cache.remove("never there").await;
}

pub async fn a_time_without_end_and_none_at_all(subject: &Subject) {
    let Subject { cache, clock, .. } = subject;
    cache.put("for ever", (*b"x").into(), Duration::MAX).await;
    cache.put("never", (*b"x").into(), MINUTE).await;
    cache.put("never", (*b"x").into(), Duration::ZERO).await;
    assert!(cache.get("never").await.is_none());
    clock.advance(SignedDuration::from_hours(24 * 365 * 100));
    assert!(cache.get("for ever").await.is_some());
}

pub async fn gives_back_every_byte(subject: &Subject) {
    let every: Vec<u8> = (0..=255).cycle().take(1024 * 1024).collect();
    for (key, bytes) in [("empty", &[][..]), ("line ends", b"\r\n\0\r\n"), ("large", &every)] {
        subject.cache.put(key, bytes.into(), MINUTE).await;
        assert_eq!(subject.cache.get(key).await.as_deref(), Some(bytes), "{key}");
    }
}

pub async fn tells_keys_apart(subject: &Subject) {
    let cache = &subject.cache;
    let keys = ["", "a", "A", "a:b", "{a}", "{a}b", "ä", "a b", "a\r\nb", "*"];
    for key in keys {
        cache.put(key, key.as_bytes().into(), MINUTE).await;
    }
    for key in keys {
        assert_eq!(cache.get(key).await.as_deref(), Some(key.as_bytes()), "{key:?}");
        cache.remove(key).await;
        assert!(cache.get(key).await.is_none(), "{key:?}");
    }
}

//! The published examples: RFC 8785 for canonical JSON, FIPS 180-4 for the hash.

use serde_json::{Value, json};

use super::{canonical, entry_hash, genesis, hex, payload_hash, sha256, unhex};

#[track_caller]
fn canonicalizes(input: &str, expected: &str) {
    let value: Value = serde_json::from_str(input).unwrap();
    assert_eq!(String::from_utf8(canonical(&value)).unwrap(), expected);
}

#[test]
fn canonical_json_is_that_of_rfc_8785() {
    // Section 3.2.2.
    canonicalizes(
        r#"{"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
            "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/", "literals": [null, true, false]}"#,
        r#"{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}"#,
    );
    // Section 3.2.3: names sort by UTF-16 units.
    canonicalizes(
        r#"{"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\ud83d\ude00": 5, "\u0080": 6, "\u00f6": 7}"#,
        "{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"ö\":7,\"€\":1,\"😀\":5,\"\u{fb33}\":3}",
    );
    // Appendix B, those that JSON can write.
    for (bits, expected) in [
        (0x0000_0000_0000_0000_u64, "0"),
        (0x8000_0000_0000_0000, "0"),
        (0x0000_0000_0000_0001, "5e-324"),
        (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
        (0x4340_0000_0000_0000, "9007199254740992"),
        (0x4430_0000_0000_0000, "295147905179352830000"),
        (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
        (0x44b5_2d02_c7e1_4af6, "1e+23"),
        (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
        (0x444b_1ae4_d6e2_ef50, "1e+21"),
        (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
        (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
        (0x41b3_de43_5555_5553, "333333333.3333332"),
        (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
        (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
    ] {
        let text = canonical(&json!(f64::from_bits(bits)));
        assert_eq!(String::from_utf8(text).unwrap(), expected, "{bits:x}");
    }
}

#[test]
fn hashes_are_plain_sha_256() {
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(hex(&sha256(&[b"abc"])), abc);
    assert_eq!(hex(&sha256(&[b"a", b"", b"bc"])), abc);
    assert_eq!(genesis("platform"), sha256(&[b"coder-audit-v1:platform"]));
    assert_eq!(unhex(abc).map(|hash| hex(&hash)).as_deref(), Some(abc));
    for text in ["", "ab", &abc.to_uppercase(), &format!("{abc}00")] {
        assert_eq!(unhex(text), None, "{text}");
    }
}

#[test]
fn an_entry_is_hashed_as_documented() {
    let entry = json!({
        "id": "e", "organizationId": "o", "seq": 1, "time": "t", "receivedAt": "r", "action": "a", "category": "c",
        "severity": "s", "outcome": "success", "source": "users", "eventId": "v", "message": "m", "changes": [],
        "metadata": {"b": 1, "a": 2}, "actor": {"type": "user", "id": "u", "ipAddress": "192.0.2.1"},
        "payloadSalt": "00010203040506070809101112131415", "payloadHash": "p", "prevHash": hex(&[7; 32]),
    });
    let salt = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 17, 18, 19, 20, 21];
    let payload =
        r#"{"actor":{"ipAddress":"192.0.2.1"},"changes":[],"message":"m","metadata":{"a":2,"b":1}}"#;
    assert_eq!(payload_hash(&entry), Some(sha256(&[&salt, payload.as_bytes()])));
    let statement = concat!(
        r#"{"action":"a","actor":{"id":"u","type":"user"},"category":"c","eventId":"v","id":"e","organizationId":"o","#,
        r#""outcome":"success","payloadHash":"p","receivedAt":"r","seq":1,"severity":"s","source":"users","time":"t"}"#,
    );
    assert_eq!(entry_hash(&entry), Some(sha256(&[&[7; 32], statement.as_bytes()])));
}

//! Makes an attack as its case says, and tells what came otherwise.

use std::collections::BTreeMap;

use aws_lc_rs::hmac;
use coder_core::Clock as _;
use coder_testkit::Reply;
use data_encoding::BASE32_NOPAD;
use http::Method;
use jiff::SignedDuration;
use serde_json::Value;

use crate::case::{Case, Expected, Step};
use crate::forgery::forge;
use crate::scene::{Cast, Scene};
use crate::wire;

/// Makes the attack with each of its values; what is not as the case says is the error.
pub(crate) async fn run(scene: &mut Scene, attack: &Case) -> Result<(), String> {
    let once = [String::new()];
    let tries = if attack.tries.is_empty() { &once[..] } else { &attack.tries[..] };
    for value in tries {
        let mut cast = scene.cast(format!("{attack:?}").contains("victim")).await;
        let content = filled(value, &cast.names);
        cast.names.insert("try".into(), content);
        run_with(scene, &mut cast, attack).await.map_err(|fault| format!("{value:.60}: {fault}"))?;
    }
    Ok(())
}

async fn run_with(scene: &Scene, cast: &mut Cast, attack: &Case) -> Result<(), String> {
    for (number, step) in attack.before.iter().enumerate() {
        send(scene, cast, step).await.map_err(|fault| format!("before, step {}: {fault}", number + 1))?;
    }
    let before = scene.picture().await;
    send(scene, cast, &attack.request).await?;
    for (before, after) in before.iter().zip(scene.picture().await) {
        if *before != after {
            return Err(format!("the company has changed: {before:?} became {after:?}"));
        }
    }
    for (number, step) in attack.afterwards.iter().enumerate() {
        send(scene, cast, step).await.map_err(|fault| format!("afterwards, step {}: {fault}", number + 1))?;
    }
    Ok(())
}

/// Sends one request and checks its answer.
async fn send(scene: &Scene, cast: &mut Cast, step: &Step) -> Result<(), String> {
    if step.later > 0 {
        scene.platform.clock.advance(SignedDuration::from_secs(step.later));
    }
    let (reply, answers) = match &step.raw {
        Some(raw) => {
            let request = filled(raw, &cast.names);
            wire::exchange(scene.platform.platform.address, request.as_bytes()).await
        }
        None => (request(scene, cast, step).await?, 1),
    };
    check(&step.answer, &reply, answers, &cast.names).map_err(|fault| format!("{fault}: {reply:.600?}"))?;
    for (name, place) in &step.save {
        let text = |place: &str| {
            reply
                .body
                .pointer(place)
                .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        };
        let value = match place.split_once(':') {
            Some(("mail", to)) => mailed(scene, &filled(to, &cast.names)).await,
            Some(("link", place)) => text(place).as_deref().and_then(token_of),
            Some(("app", secret)) => cast.names.get(secret).map(|secret| shown_by_app(scene, secret)),
            _ => text(place),
        };
        let value = value.ok_or_else(|| format!("nothing at {place}: {reply:?}"))?;
        cast.names.insert(name.clone(), value);
    }
    Ok(())
}

async fn request(scene: &Scene, cast: &Cast, step: &Step) -> Result<Reply, String> {
    let names = &cast.names;
    let mut client = scene.client(cast, &step.who);
    if let Some(token) = &step.bearer {
        client = client.with_token(filled(token, names));
    }
    if let Some(key) = &step.api_key {
        client = client.with_api_key(filled(key, names));
    }
    if let Some(forgery) = &step.token {
        let now = scene.platform.clock.now().as_second();
        let mut forgery = forgery.clone();
        forgery.append = filled(&forgery.append, names);
        for value in forgery.header.values_mut().chain(forgery.claims.values_mut()) {
            *value = filled_value(value, names);
        }
        client = client.with_token(forge(&forgery, &names["owner.token"], now));
    }
    let method = step.method.as_deref().unwrap_or("GET");
    let method = Method::from_bytes(method.as_bytes()).map_err(|error| error.to_string())?;
    let body = match (&step.body, &step.text) {
        (Some(body), _) => Some(filled_value(body, names).to_string().into_bytes()),
        (None, text) => text.as_ref().map(|text| filled(text, names).into_bytes()),
    };
    let headers: Vec<(String, String)> =
        step.headers.iter().map(|(name, value)| (name.clone(), filled(value, names))).collect();
    let headers: Vec<(&str, &str)> =
        headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let sent = client.try_send(method, &filled(&step.path, names), body, &headers).await;
    sent.map_err(|error| format!("no answer: {error:?}"))
}

fn check(
    expected: &Expected,
    reply: &Reply,
    answers: usize,
    names: &BTreeMap<String, String>,
) -> Result<(), String> {
    let Expected { status, code, headers, absent, has, lacks, at, answers: count } = expected;
    let found = reply.status.as_u16();
    match status {
        Some(status) if !status.allows(found) => return Err(format!("status {found}, not {status:?}")),
        None if !reply.status.is_success() => return Err(format!("status {found}, no success")),
        _ => {}
    }
    if let Some(code) = code {
        let kind = reply.header("content-type");
        if reply.code() != code || kind != "application/problem+json" {
            return Err(format!("no problem `{code}`"));
        }
    }
    for (name, wanted) in headers {
        let wanted = filled(wanted, names);
        let values: Vec<_> =
            reply.headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
        if !values.iter().any(|value| value.contains(&wanted)) {
            return Err(format!("header `{name}` is {values:?}"));
        }
    }
    if let Some(name) = absent.iter().find(|name| reply.headers.contains_key(name.as_str())) {
        return Err(format!("header `{name}` is there"));
    }
    for (pointer, wanted) in at {
        let wanted = filled_value(wanted, names);
        if reply.body.pointer(pointer).unwrap_or(&Value::Null) != &wanted {
            return Err(format!("{pointer} is not {wanted}"));
        }
    }
    let shown = reply.body.to_string();
    if let Some(text) = has.iter().map(|text| filled(text, names)).find(|text| !shown.contains(text)) {
        return Err(format!("`{text}` is missing"));
    }
    if let Some(text) = lacks.iter().map(|text| filled(text, names)).find(|text| shown.contains(text)) {
        return Err(format!("`{text}` is there"));
    }
    match count {
        Some(count) if *count != answers => Err(format!("{answers} answers, not {count}")),
        _ => Ok(()),
    }
}

/// The code that an authenticator app with this secret shows now (RFC 6238).
fn shown_by_app(scene: &Scene, secret: &str) -> String {
    let step = scene.platform.clock.now().as_second() / 30;
    let secret = BASE32_NOPAD.decode(secret.as_bytes()).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let offset = usize::from(tag.as_ref()[19] & 15);
    let number = u32::from_be_bytes(tag.as_ref()[offset..offset + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

/// The token behind the link of the newest mail to somebody.
async fn mailed(scene: &Scene, to: &str) -> Option<String> {
    scene.platform.settle().await;
    let text = std::fs::read_to_string(scene.platform.data_dir().join("mail-outbox.jsonl")).ok()?;
    let mut mails = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mail = mails.rfind(|mail| mail["to"] == to)?;
    token_of(mail["text"].as_str()?.split_whitespace().find(|word| word.starts_with("http"))?)
}

/// The token at the end of a link.
fn token_of(link: &str) -> Option<String> {
    link.rsplit(['=', '/']).next().map(str::to_owned)
}

fn filled_value(value: &Value, names: &BTreeMap<String, String>) -> Value {
    match value {
        Value::String(text) => Value::String(filled(text, names)),
        Value::Array(items) => items.iter().map(|item| filled_value(item, names)).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), filled_value(value, names))).collect()
        }
        other => other.clone(),
    }
}

/// The text with every `${name}`, `${name|flip|7}` and `${repeat|text|100}` filled in.
pub(crate) fn filled(text: &str, names: &BTreeMap<String, String>) -> String {
    let mut parts = text.split("${");
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}').unwrap_or_else(|| panic!("`${{{part}` does not end"));
        let words: Vec<&str> = name.split('|').collect();
        let known = |name: &str| names.get(name).unwrap_or_else(|| panic!("there is no `{name}`")).as_str();
        let number = |word: &str| word.parse::<usize>().unwrap();
        whole += &match words[..] {
            ["repeat", text, count] => text.repeat(number(count)),
            [name] => known(name).to_owned(),
            [name, "flip", at] => flipped(known(name), number(at)),
            [name, "cut", by] => known(name)[..known(name).len() - number(by)].to_owned(),
            [name, "upper"] => known(name).to_uppercase(),
            [name, "path"] => known(name).replace('%', "%25").replace('/', "%2F"),
            _ => panic!("`{name}` is not understood"),
        };
        whole += rest;
    }
    whole
}

/// The text with one bit of a letter changed, so that another letter of the alphabet of URLs comes out.
fn flipped(text: &str, at: usize) -> String {
    let at = at.min(text.len() - 1);
    let other = if &text[at..=at] == "A" { "B" } else { "A" };
    format!("{}{other}{}", &text[..at], &text[at + 1..])
}

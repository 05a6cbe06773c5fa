use serde_json::{Value, json};

use super::{Form, Region, RenderError, Template, render, unknown};

fn written(template: &str, data: &Value, form: Form) -> String {
    let template = Template::parse(template).unwrap();
    render(&template, data, &Region::new("en", "UTC"), form).unwrap()
}

#[test]
fn renders_values_conditions_and_loops() {
    let data = json!({
        "user": {"name": "Ada", "tags": ["a", "b"]}, "none": null, "no": false, "zero": 0, "empty": "",
        "list": [{"name": "one", "parts": [1, 2]}, {"name": "two", "parts": []}], "nothing": [], "n": 1.5,
    });
    for (template, expected) in [
        ("", ""),
        ("Hello {{user.name}}!", "Hello Ada!"),
        ("{{ user.name }}{{user.tags.1}}", "Adab"),
        ("{{absent}}{{user.absent.more}}{{none}}{{user}}{{list}}", ""),
        ("{{no}} {{zero}} {{n}}", "false 0 1.5"),
        ("{{#if user}}yes{{else}}no{{/if}}", "yes"),
        (
            "{{#if no}}1{{/if}}{{#if zero}}2{{/if}}{{#if empty}}3{{/if}}{{#if nothing}}4{{/if}}{{#if none}}5{{/if}}",
            "",
        ),
        ("{{#if absent}}yes{{else}}no{{/if}}", "no"),
        (
            "{{#each list}}{{name}}:{{#each parts}}{{this}}{{name}}{{else}}-{{/each}};{{/each}}",
            "one:1one2one;two:-;",
        ),
        ("{{#each user.tags}}{{this}} of {{user.name}}, {{/each}}", "a of Ada, b of Ada, "),
        ("{{#each nothing}}x{{else}}none{{/each}}{{#each user}}x{{else}}none{{/each}}", "nonenone"),
        ("{{#if user}}{{#if no}}a{{else}}b{{/if}}{{/if}}c", "bc"),
        ("a } b }} c { d", "a } b }} c { d"),
    ] {
        assert_eq!(written(template, &data, Form::Text), expected, "{template}");
    }
}

#[test]
fn nothing_raw_reaches_html() {
    let data = json!({"x": "<script>alert('1')</script> & \"2\" `3` =4\u{0}", "list": ["<b>"]});
    assert_eq!(
        written("<p title=\"{{x}}\">", &data, Form::Html),
        "<p title=\"&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &amp; &quot;2&quot; &#96;3&#96; &#61;4\">"
    );
    assert_eq!(written("{{#each list}}{{this}}{{/each}}", &data, Form::Html), "&lt;b&gt;");
    assert_eq!(written("{{date x}}{{number x}}", &json!({"x": "<i>"}), Form::Html), "&lt;i&gt;&lt;i&gt;");
}

#[test]
fn a_line_stays_a_line_and_text_has_no_control_characters() {
    let data = json!({"x": "a\r\nBcc: eve@example.com\u{7}\tb"});
    assert_eq!(written("{{x}}\n!", &data, Form::Line), "a  Bcc: eve@example.com b !");
    assert_eq!(written("{{x}}\n!", &data, Form::Text), "a\nBcc: eve@example.com\tb\n!");
}

#[test]
fn dates_and_numbers_follow_the_language_and_the_zone() {
    let data = json!({"at": "2026-07-05T22:30:00Z", "on": "2026-01-05", "n": 1_234_567.5, "big": 1e300, "bad": "soon"});
    let template = Template::parse("{{date at}}|{{date on}}|{{number n}}|{{date bad}}").unwrap();
    let text = |locale: &str, zone: &str| {
        render(&template, &data, &Region::new(locale, zone), Form::Text)
            .unwrap()
            .replace(['\u{a0}', '\u{202f}'], " ")
    };
    assert_eq!(text("en-GB", "UTC"), "5 July 2026 at 22:30 UTC|5 January 2026|1,234,567.5|soon");
    assert_eq!(text("de", "Europe/Berlin"), "6. Juli 2026 um 00:30 CEST|5. Januar 2026|1.234.567,5|soon");
    assert_eq!(text("???", "Nowhere/Land"), "July 5, 2026 at 10:30 PM UTC|January 5, 2026|1,234,567.5|soon");
    assert_eq!(written("{{number big}}", &data, Form::Text), "1e+300");
}

#[test]
fn what_is_no_template_is_refused_with_its_line() {
    for (template, line, part) in [
        ("{{{user.name}}}", 1, "escaped"),
        ("a\n{{&user.name}}", 2, "no name"),
        ("{{> partial}}", 1, "not known"),
        ("{{#with user}}{{/with}}", 1, "not known"),
        ("{{lookup a b}}", 1, "not known"),
        ("{{a}}\n\n{{", 3, "not closed"),
        ("{{}}", 1, "not known"),
        ("{{a..b}}", 1, "no name"),
        ("{{../a}}", 1, "no name"),
        ("{{#if a}}\n{{#each b}}\n{{/each}}", 1, "not closed"),
        ("{{#if a}}{{/each}}", 1, "closes nothing"),
        ("{{/if}}", 1, "closes nothing"),
        ("{{else}}", 1, "no block"),
        ("{{#if a}}{{else}}{{else}}{{/if}}", 1, "no block"),
        (&"{{#if a}}".repeat(17), 1, "deeper"),
    ] {
        let error = Template::parse(template).unwrap_err();
        assert!(error.line == line && error.what.contains(part), "{template:.30}: {error}");
    }
}

#[test]
fn unknown_names_are_found_in_every_branch() {
    let data =
        json!({"user": {"name": "Ada"}, "no": false, "list": [{"id": 1}], "nothing": [], "none": null});
    let names = |template: &str| {
        let found = unknown(&Template::parse(template).unwrap(), &data);
        found.into_iter().map(|one| format!("{}:{}", one.line, one.name)).collect::<Vec<_>>()
    };
    assert_eq!(names("{{user.name}}{{none}}{{#each list}}{{id}}{{this.id}}{{user.name}}{{/each}}"), [""; 0]);
    assert_eq!(
        names("{{user.nme}}\n{{#if no}}{{a}}{{else}}{{date b.c}}{{/if}}{{#if absent}}{{/if}}{{user.nme}}"),
        ["1:user.nme", "2:a", "2:absent", "2:b.c", "2:user.nme"]
    );
    assert_eq!(
        names("{{#each list}}{{idd}}{{else}}{{x}}{{/each}}{{#each nothing}}{{y}}{{/each}}"),
        ["1:idd", "1:x"]
    );
}

#[test]
fn work_and_output_are_bounded() {
    let region = Region::new("en", "UTC");
    let run =
        |template: &str, data: &Value| render(&Template::parse(template).unwrap(), data, &region, Form::Html);
    let many = json!({"l": vec![0; 1000], "s": "x".repeat(1000), "lt": "<".repeat(60_000)});
    let nested = "{{#each l}}{{#each l}}{{#each l}}{{/each}}{{/each}}{{/each}}";
    assert_eq!(run(nested, &many), Err(RenderError::TooMuchWork));
    assert_eq!(run("{{#each l}}{{s}}{{/each}}", &many), Err(RenderError::TooLarge));
    assert_eq!(run("{{lt}}", &many), Err(RenderError::TooLarge));
    assert_eq!(run("{{#each l}}{{number this}}{{/each}}", &many), Err(RenderError::TooMuchWork));
    assert!(run("{{#each l}}{{this}}{{/each}}", &many).is_ok());
}

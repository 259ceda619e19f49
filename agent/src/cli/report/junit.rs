//! `--format junit`: the XML that CI systems read. What has no verdict counts as a failure too: a pipeline must not
//! go on over it. Its `type` tells the two apart.

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::{Results, Service};
use crate::config::visible::is_hidden;

/// One suite with a case per service; the message of each that is not ok stands in its `failure`.
pub fn junit(results: &Results) -> std::io::Result<String> {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let (total, time) = (results.services.len(), seconds(results.length));
    let counts = [("tests", total.to_string()), ("failures", (total - results.ok()).to_string()), ("errors", "0".to_owned())];
    let started = results.started.to_string();
    writer
        .create_element("testsuite")
        .with_attributes([("name", "vedette"), ("hostname", results.location.as_str()), ("timestamp", started.as_str())])
        .with_attributes(counts.iter().map(|(name, value)| (*name, value.as_str())))
        .with_attribute(("time", time.as_str()))
        .write_inner_content(|writer| results.services.iter().try_for_each(|service| case(writer, service)))?;
    let mut text = String::from_utf8_lossy(&writer.into_inner()).into_owned();
    text.push('\n');
    Ok(text)
}

fn case(writer: &mut Writer<Vec<u8>>, service: &Service) -> std::io::Result<()> {
    let outcome = &service.outcome;
    let time = seconds(outcome.length());
    let name = printable(&outcome.probe.service);
    let element = writer.create_element("testcase").with_attributes([
        ("classname", outcome.probe.plugin.as_str()),
        ("name", name.as_str()),
        ("time", time.as_str()),
    ]);
    if service.ok() {
        return element.write_empty().map(|_| ());
    }
    let kind = outcome.error_type.map_or(outcome.result.word(), crate::outcome::ErrorType::word);
    let message = printable(&outcome.message);
    let details: Vec<String> = outcome.unmet(false).map(|one| printable(&format!("{}: {}", one.name, one.detail))).collect();
    element
        .write_inner_content(|writer| {
            let failure = writer.create_element("failure").with_attributes([("type", kind), ("message", message.as_str())]);
            failure.write_text_content(BytesText::new(&details.join("\n"))).map(|_| ())
        })
        .map(|_| ())
}

fn seconds(length: std::time::Duration) -> String {
    format!("{:.6}", length.as_secs_f64())
}

/// XML 1.0 has no place for most control characters, escaped or not; and a log has none for what nobody sees.
fn printable(text: &str) -> String {
    let stays = |char: char| char == '\n' || char == '\t' || !is_hidden(char) && !matches!(char, '\u{fffe}' | '\u{ffff}');
    text.chars().map(|char| if stays(char) { char } else { '\u{fffd}' }).collect()
}

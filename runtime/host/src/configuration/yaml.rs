//! Configuration in YAML, as OpenNebula's Ruby programs read it: keys are symbols (`:vlan_mtu: 1500`), `on` and
//! `yes` are true, and of two entries of one key the last counts.

use remotes_effect::types::Failure;
use saphyr::{Scalar, ScalarStyle, Yaml, YamlLoader};
use saphyr_parser::Parser;

/// How deep maps and lists may lie in each other.
const DEPTH: usize = 16;

/// Whether a file of this name is YAML.
pub(super) fn is_yaml(file: &str) -> bool {
    file.ends_with(".yaml") || file.ends_with(".yml") || file.rsplit('/').next() == Some("OpenNebulaNetwork.conf")
}

/// Keys and values in the order of the text; keys of what lies in each other are joined by dots.
/// A value of nothing is empty.
pub fn parse(text: &str) -> Result<Vec<(String, String)>, Failure> {
    let text = without_tabs(text);
    let mut loader = YamlLoader::<Yaml<'_>>::default();
    loader.allow_duplicate_keys(true);
    // Of a value that was read already, it is not known whether it stood in quotes.
    loader.early_parse(false);
    let outcome = Parser::new_from_str(&text).load(&mut loader, true);
    let error = outcome.err().map(|error| error.to_string()).or(loader.error().map(ToString::to_string));
    if let Some(error) = error {
        return Err(Failure::invalid(format!("it is no YAML: {error}")));
    }
    let mut values = Vec::new();
    match loader.into_documents().first() {
        None => {}
        Some(map @ Yaml::Mapping(_)) => flatten("", map, 0, &mut values)?,
        Some(other) if scalar(other).is_some_and(|text| text.is_empty()) => {}
        Some(_) => return Err(Failure::invalid("it is YAML, but no map of keys".to_owned())),
    }
    Ok(values)
}

/// The text with spaces for tabs between a key and its value: they part these as well (YAML 1.2, 6.2), which the
/// parser does not know.
fn without_tabs(text: &str) -> String {
    let line = |line: &str| {
        let Some(colon) = line.find(":\t").filter(|colon| !line[..*colon].contains(['#', '"', '\''])) else {
            return line.to_owned();
        };
        let (key, rest) = line.split_at(colon + 1);
        format!("{key} {}", rest.trim_start_matches(['\t', ' ']))
    };
    text.split_inclusive('\n').map(line).collect()
}

fn flatten(key: &str, value: &Yaml<'_>, depth: usize, values: &mut Vec<(String, String)>) -> Result<(), Failure> {
    if depth > DEPTH {
        return Err(Failure::invalid(format!("{key}: lies deeper than {DEPTH} levels")));
    }
    let below = |name: &str| if key.is_empty() { name.to_owned() } else { format!("{key}.{name}") };
    match value {
        Yaml::Mapping(map) => {
            for (name, value) in map {
                let Some(name) = scalar(name) else {
                    return Err(Failure::invalid(format!("{key}: has a key that is no word")));
                };
                flatten(&below(name.strip_prefix(':').unwrap_or(&name)), value, depth + 1, values)?;
            }
        }
        Yaml::Sequence(list) => {
            for (index, value) in list.iter().enumerate() {
                flatten(&below(&index.to_string()), value, depth + 1, values)?;
            }
        }
        other => match scalar(other) {
            Some(text) => values.push((key.to_owned(), text)),
            None => return Err(Failure::invalid(format!("{key}: has a value that is not understood"))),
        },
    }
    Ok(())
}

fn scalar(value: &Yaml<'_>) -> Option<String> {
    let Yaml::Representation(text, style, tag) = value else { return None };
    if *style == ScalarStyle::Plain && tag.is_none() {
        match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" => return Some("true".to_owned()),
            "false" | "no" | "off" => return Some("false".to_owned()),
            _ => {}
        }
    }
    Some(match Scalar::parse_from_cow_and_metadata(text.clone(), *style, tag.as_ref())? {
        Scalar::Null => String::new(),
        Scalar::Boolean(value) => value.to_string(),
        Scalar::Integer(value) => value.to_string(),
        // As it stands there: `239.10` is an address' beginning rather than a number.
        Scalar::FloatingPoint(_) => text.to_string(),
        Scalar::String(value) => value.to_string(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tabs_part_keys_from_values() {
        let text = ":keep_empty_bridge:\ttrue\n:ip_link_conf:\n  :tos:\t \t3\n# :a:\tb\n:vxlan_mc: \"x:\ty\"\n";
        let expected = [("keep_empty_bridge", "true"), ("ip_link_conf.tos", "3"), ("vxlan_mc", "x:\ty")];
        assert_eq!(parse(text).unwrap(), expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }

    #[test]
    fn symbols_maps_and_lists() {
        let text = ":validate_vlan_id: false\n# :vlan_mtu: 9000\n:vxlan_mc: 239.0.0.0\n:vxlan_ttl: 16\n\
            :ip_link_conf:\n  :udp6zerocsumrx:\n  :tos: 3\n  :mvrp: true\n\
            :tproxy:\n- :service_port: 5030\n  :remote_addr: 10.11.12.13\n  :networks: [a, 7]\n";
        let parsed = parse(text).unwrap();
        let expected = [
            ("validate_vlan_id", "false"),
            ("vxlan_mc", "239.0.0.0"),
            ("vxlan_ttl", "16"),
            ("ip_link_conf.udp6zerocsumrx", ""),
            ("ip_link_conf.tos", "3"),
            ("ip_link_conf.mvrp", "true"),
            ("tproxy.0.service_port", "5030"),
            ("tproxy.0.remote_addr", "10.11.12.13"),
            ("tproxy.0.networks.0", "a"),
            ("tproxy.0.networks.1", "7"),
        ];
        let parsed: Vec<_> = parsed.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(parsed, expected);
        assert_eq!(parse("# nothing\n").unwrap(), []);
        assert_eq!(parse("---\n").unwrap(), []);
        for text in ["[", "- a\n- b\n", "word", ":a: ["] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn words_mean_what_they_mean_to_ruby() {
        let value = |text: &str| parse(text).unwrap().pop().unwrap().1;
        for (text, expected) in [
            (":a: on", "true"),
            (":a: Yes", "true"),
            (":a: OFF", "false"),
            (":a: no", "false"),
            (":a: 'on'", "on"),
            (":a: \"no\"", "no"),
            (":a: y", "y"),
            (":a: ~", ""),
            (":a: 0x10", "16"),
            (":a: 1.50", "1.50"),
            (":a: 1\n:a: 2", "2"),
        ] {
            assert_eq!(value(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(\\PC|\n){0,80}") {
            let _ = parse(&text);
        }
    }
}

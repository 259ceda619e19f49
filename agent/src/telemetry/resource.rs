//! Who speaks: the resource that everything leaves under.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::resource::v1::Resource;

use super::otlp::text;
use super::settings::{Env, pairs};

/// As a message.
pub(super) fn resource(env: &Env, instance_id: &str) -> Resource {
    let attributes = facts(env, instance_id).into_iter().map(|(key, value)| text(&key, value)).collect();
    Resource { attributes, ..Resource::default() }
}

/// What is known of the agent, what the operator says in `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME` winning.
pub(super) fn facts(env: &Env, instance_id: &str) -> BTreeMap<String, String> {
    let mut all = BTreeMap::from([
        ("service.name".to_owned(), "vedette".to_owned()),
        ("service.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("service.instance.id".to_owned(), instance_id.to_owned()),
    ]);
    if let Ok(host) = rustix::system::uname().nodename().to_str() {
        all.insert("host.name".to_owned(), host.to_owned());
    }
    all.extend(pairs(env.get("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default()));
    if let Some(name) = env.get("OTEL_SERVICE_NAME") {
        all.insert("service.name".to_owned(), name.to_owned());
    }
    all
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;

    use super::*;

    fn of(env: &[(&str, &str)]) -> BTreeMap<String, String> {
        let resource = resource(&env.iter().copied().collect(), "an-id");
        let text = |value| match value {
            Some(Value::StringValue(text)) => text,
            other => panic!("{other:?}"),
        };
        resource.attributes.into_iter().map(|pair| (pair.key, text(pair.value.and_then(|value| value.value)))).collect()
    }

    #[test]
    fn without_an_environment_the_agent_says_its_name_version_instance_and_host() {
        let resource = of(&[]);
        assert_eq!(resource["service.name"], "vedette");
        assert_eq!(resource["service.version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(resource["service.instance.id"], "an-id");
        assert!(!resource["host.name"].is_empty());
    }

    #[test]
    fn what_the_operator_says_wins_and_the_service_name_has_the_last_word() {
        let attributes = "deployment.environment.name=lab, host.name=edge%2C1,broken,service.name=other";
        let resource = of(&[("OTEL_RESOURCE_ATTRIBUTES", attributes), ("OTEL_SERVICE_NAME", "watch")]);
        assert_eq!(resource["deployment.environment.name"], "lab");
        assert_eq!(resource["host.name"], "edge,1");
        assert_eq!(resource["service.name"], "watch");
        assert_eq!(of(&[("OTEL_RESOURCE_ATTRIBUTES", "service.name=other")])["service.name"], "other");
    }
}

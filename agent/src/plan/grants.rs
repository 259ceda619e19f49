//! What the operator's file lets a check reach and use, and how much of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::PlanError;
use crate::bounded;
use crate::config::{Auth, CheckConfig, Config, PluginConfig, SecretConfig, SecretSource};
use crate::network::{self, Policy, Reach};
use crate::plugin::{Grants, Limits, MEMORY_LIMIT, Secret};

/// Values of the secrets, by name.
pub type Secrets = BTreeMap<String, Vec<u8>>;

/// Of a secret from a file, in bytes.
const LONGEST_SECRET: u64 = 64 << 10;
/// A body passes through the guest several times: as it came, as text, as a document that a path is applied to.
const MEMORY_PER_BODY_BYTE: u64 = 8;
/// What looking at a MiB of body may cost, in CPU time.
const CPU_PER_BODY_MIB: Duration = Duration::from_millis(20);

/// Reads the value of every secret. Those that have none, or none of use, are an error here, all of them, not a surprise
/// at night.
pub fn secret_values(config: &Config) -> Result<Secrets, PlanError> {
    let (of_fields, mut values, mut missing) = (of_fields(config), Secrets::new(), Vec::new());
    for (name, secret) in &config.secrets {
        match read(secret).and_then(|value| fits(value, of_fields.contains(name.as_str()))) {
            Ok(value) => drop(values.insert(name.clone(), value)),
            Err(message) => missing.push(format!("secret `{name}`: {message}")),
        }
    }
    if missing.is_empty() { Ok(values) } else { Err(PlanError::Secrets(missing)) }
}

fn fits(value: Vec<u8>, in_field: bool) -> Result<Vec<u8>, String> {
    if !in_field || http::HeaderValue::from_bytes(&value).is_ok() {
        return Ok(value);
    }
    Err("its value has a line break or another control character, which no header field can hold; put it on one line".to_owned())
}

/// Names of the secrets that are values of header fields: all of the built-in checks, and the token of the page. What
/// other plugins do with theirs nobody knows beforehand; a body, for one, takes any bytes.
fn of_fields(config: &Config) -> BTreeSet<&str> {
    let checks = config.checks.iter().filter(|check| !config.plugins.contains_key(&check.plugin));
    let token = match &config.agent.auth {
        Auth::Token { secret } => Some(secret),
        Auth::Unset | Auth::Open => None,
    };
    checks.flat_map(|check| &check.secrets).chain(token).map(String::as_str).collect()
}

/// Looks at the files that checks name, each once: what a plugin can do with one is to trust the certificates in it.
pub(super) fn judge_files(checks: &[CheckConfig]) -> Result<(), PlanError> {
    let mut judged = BTreeSet::new();
    for check in checks {
        for path in check.files.values().filter(|path| judged.insert(*path)) {
            network::judge_roots(path).map_err(|message| PlanError::Roots { check: check.name.clone(), path: path.clone(), message })?;
        }
    }
    Ok(())
}

fn read(secret: &SecretConfig) -> Result<Vec<u8>, String> {
    let value = match &secret.source {
        SecretSource::Env(name) => std::env::var_os(name)
            .map(std::ffi::OsString::into_encoded_bytes)
            .ok_or_else(|| format!("the environment variable {name} is not set; set it, or name another source"))?,
        SecretSource::File(path) => {
            let mut bytes = bounded::read(path, LONGEST_SECRET).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
            // Editors and `echo` end a file with a line end that nobody means.
            bytes.truncate(bytes.strip_suffix(b"\r\n").or_else(|| bytes.strip_suffix(b"\n")).unwrap_or(&bytes).len());
            bytes
        }
    };
    if value.is_empty() { Err("its value is empty".to_owned()) } else { Ok(value) }
}

/// Built-in plugins reach what the operator's file names; any other what its `allow` says and nothing else.
pub(super) fn grants(check: &CheckConfig, declared: Option<&PluginConfig>, config: &Config, secrets: &Secrets) -> Grants {
    let policy = match declared {
        None => Policy { reach: Reach::Operator, insecure_tls: true },
        Some(plugin) => Policy { reach: Reach::Hosts(plugin.allow_hosts.clone()), insecure_tls: plugin.allow_insecure_tls },
    };
    let granted = check.secrets.iter().filter_map(|name| {
        let secret = Secret { value: secrets.get(name)?.clone(), send_to: config.secrets.get(name)?.send_to.clone() };
        Some((name.clone(), secret))
    });
    Grants { policy, secrets: granted.collect(), files: check.files.clone() }
}

/// The limits of the file over the defaults. A built-in plugin's grow with the body it may have to look at.
pub(super) fn limits(check: &CheckConfig, declared: Option<&PluginConfig>) -> Limits {
    let usual = Limits::default();
    if let Some(plugin) = declared {
        return Limits {
            memory: plugin.limits.memory.unwrap_or(usual.memory).min(MEMORY_LIMIT),
            cpu: plugin.limits.cpu.unwrap_or(usual.cpu),
            exchanges: plugin.limits.exchanges.unwrap_or(usual.exchanges),
        };
    }
    let body = max_body(&check.settings);
    Limits {
        memory: usual.memory.saturating_add(body.saturating_mul(MEMORY_PER_BODY_BYTE)).min(MEMORY_LIMIT),
        cpu: usual.cpu + CPU_PER_BODY_MIB.mul_f64(body as f64 / f64::from(1 << 20)),
        ..usual
    }
}

/// `max_body` of the settings, in bytes; 0 where the plugin has no such word.
fn max_body(settings: &str) -> u64 {
    let settings: Option<serde_json::Value> = serde_json::from_str(settings).ok();
    settings.and_then(|settings| settings.get("max_body")?.as_u64()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{PluginSchema, Purpose};

    /// A configuration of one check, and more.
    fn config(more: &str) -> Config {
        let path = std::env::temp_dir().join(format!("vedette-plan-{}.yaml", uuid::Uuid::new_v4()));
        std::fs::write(&path, format!("checks: [{{name: a, target: \"http://h/\"}}]\n{more}")).unwrap();
        let document = crate::config::read(&path);
        std::fs::remove_file(path).unwrap();
        let schema = |summariser| PluginSchema { summariser, schema: serde_json::json!({}), target_schemes: Vec::new() };
        let schemas = [("http", false), ("availability", true), ("own", false)].map(|(name, is)| (name.to_owned(), Ok(schema(is))));
        document.judge(&schemas.into(), Purpose::Once).unwrap().config
    }

    fn secret(source: SecretSource) -> SecretConfig {
        SecretConfig { source, send_to: Vec::new() }
    }

    #[test]
    fn a_secret_s_file_loses_its_final_line_end_only() {
        let path = std::env::temp_dir().join(format!("vedette-secret-{}", uuid::Uuid::new_v4()));
        for (text, value) in [("a\nb\n", "a\nb"), ("token\r\n", "token"), ("token", "token")] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(read(&secret(SecretSource::File(path.clone()))), Ok(value.as_bytes().to_vec()));
        }
        std::fs::write(&path, "\n").unwrap();
        assert!(read(&secret(SecretSource::File(path.clone()))).unwrap_err().contains("empty"));
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_secret_that_is_not_there_says_what_is_missing() {
        let missing = secret(SecretSource::Env("VEDETTE_NO_SUCH_VARIABLE".into()));
        assert!(read(&missing).unwrap_err().contains("VEDETTE_NO_SUCH_VARIABLE is not set"));
    }

    #[test]
    fn all_secrets_without_a_value_are_told_together() {
        let mut config = config("");
        for name in ["one", "two"] {
            config.secrets.insert(name.to_owned(), secret(SecretSource::Env(format!("VEDETTE_NO_SUCH_{name}"))));
        }
        let told = secret_values(&config).unwrap_err().to_string();
        assert!(told.contains("VEDETTE_NO_SUCH_one") && told.contains("VEDETTE_NO_SUCH_two"), "{told}");
    }

    #[test]
    fn the_limits_that_the_configuration_shows_are_those_that_hold() {
        let config = config("plugins: {own: {source: ./own.wasm}}");
        let shown = config.plugins["own"].limits;
        let shown = Limits { memory: shown.memory.unwrap(), cpu: shown.cpu.unwrap(), exchanges: shown.exchanges.unwrap() };
        assert_eq!(shown, Limits::default());
    }

    #[test]
    fn max_body_is_read_from_the_settings() {
        assert_eq!((max_body(r#"{"max_body": 1048576}"#), max_body("{}"), max_body("")), (1 << 20, 0, 0));
    }
}

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

/// Reads the value of every secret. One that has none, or none of use, is an error here, not a surprise at night.
pub fn secret_values(config: &Config) -> Result<Secrets, PlanError> {
    let of_fields = of_fields(config);
    let value = |(name, secret): (&String, &SecretConfig)| {
        let fits = |value: &Vec<u8>| !of_fields.contains(name.as_str()) || http::HeaderValue::from_bytes(value).is_ok();
        let value = read(secret).and_then(|value| {
            let unfit = "its value has a line break or another control character, which no header field can hold; put it on one line";
            if fits(&value) { Ok(value) } else { Err(unfit.to_owned()) }
        });
        Ok((name.clone(), value.map_err(|message| PlanError::Secret { name: name.clone(), message })?))
    };
    config.secrets.iter().map(value).collect()
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
    fn max_body_is_read_from_the_settings() {
        assert_eq!((max_body(r#"{"max_body": 1048576}"#), max_body("{}"), max_body("")), (1 << 20, 0, 0));
    }
}

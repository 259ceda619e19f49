//! The sandbox itself, without an agent around it: a host, and calls of guests.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use vedette::clock::Anchor;
use vedette::config::AllowedHost;
use vedette::network::{Network, Policy, Reach};
use vedette::outcome::{ErrorType, Identity, SpanId, TraceId};
use vedette::plugin::{Call, Called, Grants, Host, HostOptions, Limits};
use vedette::vitals::Vitals;

use crate::home::binary;

/// Opens a sandbox. The program that is tested compiles for it, as it does for itself.
pub fn host(cache: Option<PathBuf>) -> Arc<Host> {
    compiled_by(binary(), cache)
}

/// Opens a sandbox whose plugins another program compiles.
pub fn compiled_by(compiler: PathBuf, cache: Option<PathBuf>) -> Arc<Host> {
    let (network, vitals) = (Network::new(), Arc::<Vitals>::default());
    let options = HostOptions { slots: 64, max_memory: 64 << 20, cache, compiler: Some(compiler), network, vitals };
    Host::new(options).expect("the machine has room for a sandbox")
}

/// A probe that nobody configured.
pub fn identity() -> Arc<Identity> {
    Arc::new(Identity {
        check: "check".to_owned(),
        target: "target".to_owned(),
        service: "check".to_owned(),
        address: "http://127.0.0.1/".to_owned(),
        location: "here".to_owned(),
        labels: Vec::new(),
        plugin: "hostile".to_owned(),
        plugin_version: String::new(),
        plugin_digest: String::new(),
        peer_service: None,
        every: Duration::from_secs(30),
    })
}

/// These hosts, on every port.
pub fn policy(hosts: &[&str]) -> Policy {
    let allowed = hosts.iter().map(|host| AllowedHost { host: (*host).to_owned(), port: None });
    Policy { reach: Reach::Hosts(allowed.collect()), insecure_tls: false }
}

/// An attempt that may reach loopback.
pub fn call(settings: &str, address: &str) -> Call {
    let anchor = Anchor::now();
    Call {
        probe: identity(),
        address: address.into(),
        target_labels: Arc::new([]),
        settings: settings.into(),
        trace_id: TraceId([1; 16]),
        parent: SpanId([2; 8]),
        sampled: true,
        propagate: false,
        scheduled_at: anchor.wall(),
        anchor,
        // Long, since a machine that is busy may take its time until a guest has used up its CPU.
        timeout: Duration::from_secs(30),
        attempt: 1,
        grants: Arc::new(Grants { policy: policy(&["127.0.0.1"]), secrets: BTreeMap::new(), files: BTreeMap::new() }),
        limits: Limits::default(),
        state: BTreeMap::new(),
    }
}

/// One of the deeds of [`crate::HOSTILE`], which needs no target.
pub fn to_do(deed: &str) -> Call {
    call(&format!(r#"{{"do": "{deed}"}}"#), "http://127.0.0.1:9/")
}

/// The word of what a call came to; none if it succeeded.
pub fn told(called: &Called) -> Option<&'static str> {
    called.report.error_type.map(ErrorType::word)
}

//! One hop: a connection of its own from its name to its last byte, and the exchange that is recorded of it.

use std::net::{IpAddr, SocketAddr};

use tokio::time::timeout_at;
use url::Url;

use super::course::Course;
use super::head::Head;
use super::policy::{self, Grant};
use super::redirect::Errand;
use super::session::{self, Limits};
use super::tap::Wire;
use super::tls::{Facts, Plan};
use super::{Answer, NetError, Policy, Request, Shared, Waiting, dial, resolve};
use crate::outcome::{Exchange, HttpVersion, Phase, SpanId};

/// What becomes known of a hop while it goes on; outlives it when it is cut short.
pub(super) struct Hop {
    span_id: SpanId,
    pub(super) course: Course,
    remote: Option<SocketAddr>,
    pub(super) version: Option<HttpVersion>,
    pub(super) status: Option<u16>,
    pub(super) body_size: Option<u64>,
    tls: Option<Facts>,
}

/// Makes one hop. Without an exchange if it was refused before anything was sent.
pub(super) async fn make(
    shared: &Shared,
    errand: &Errand,
    request: &Request,
    policy: &Policy,
) -> (Option<Exchange>, Result<Answer, NetError>) {
    // Reading files and judging are done before the clock starts.
    let prepared = timeout_at(request.deadline, prepare(shared, errand.url(), request, policy)).await;
    let (grant, plan) = match prepared {
        Ok(Ok(prepared)) => prepared,
        Ok(Err(error)) => return (None, Err(errand.masked(error))),
        Err(_) => return (None, Err(NetError::TimedOut(Waiting::Tls))),
    };
    let mut hop =
        Hop { span_id: SpanId::random(), course: Course::start(), remote: None, version: None, status: None, body_size: None, tls: None };
    let result = match timeout_at(request.deadline, run(shared, errand, request, (grant, plan), &mut hop)).await {
        Ok(result) => result,
        Err(_) => Err(NetError::TimedOut(hop.course.waiting())),
    };
    let result = result.map_err(|error| errand.masked(error));
    (Some(hop.record(errand, request, result.as_ref().err())), result)
}

async fn prepare(shared: &Shared, url: &Url, request: &Request, policy: &Policy) -> Result<(Grant, Option<Plan>), NetError> {
    let grant = policy::vet(policy, url)?;
    if url.scheme() != "https" {
        return Ok((grant, None));
    }
    if !request.tls.verify && !policy.insecure_tls {
        return Err(NetError::Denied("`verify: false` needs the grant `insecure_tls`".to_owned()));
    }
    let plan = shared.trust.plan(url, &request.tls, request.version).await?;
    Ok((grant, Some(plan)))
}

async fn run(
    shared: &Shared,
    errand: &Errand,
    request: &Request,
    (grant, plan): (Grant, Option<Plan>),
    hop: &mut Hop,
) -> Result<Answer, NetError> {
    let url = errand.url();
    let addresses = addresses(shared, url, hop).await?;
    addresses.iter().try_for_each(|address| policy::vet_address(grant, *address))?;
    hop.course.enter(Phase::Connect);
    let port = url.port_or_known_default().unwrap_or_default();
    let (stream, remote) = dial::connect(addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect()).await?;
    hop.remote = Some(remote);
    let (wire, version): (Box<dyn Wire>, _) = match plan {
        None => (Box::new(stream), request.version.unwrap_or(HttpVersion::Http11)),
        Some(plan) => {
            hop.course.enter(Phase::Tls);
            let (result, facts) = plan.handshake(stream).await;
            let version = agreed(facts.alpn(), request.version);
            hop.tls = Some(facts);
            (Box::new(result?), version?)
        }
    };
    let head = Head {
        method: errand.method(),
        url,
        fields: errand.fields(),
        body: errand.body(),
        version,
        trace: request.trace.map(|trace| (trace, hop.span_id)),
    };
    let limits = Limits { max_body: request.max_body, keep_body: request.keep_body, decode: errand.decodes() };
    session::speak(wire, head.build()?, limits, hop).await
}

/// Literals have no lookup, and neither has `localhost`.
async fn addresses(shared: &Shared, url: &Url, hop: &mut Hop) -> Result<Vec<IpAddr>, NetError> {
    let Some(host) = url.host() else { return Err(NetError::InvalidRequest("the URL has no host".to_owned())) };
    if let Some(address) = policy::literal(&host) {
        return Ok(vec![address]);
    }
    let name = host.to_string();
    if let Some(addresses) = resolve::well_known(&name) {
        return Ok(addresses);
    }
    hop.course.enter(Phase::Dns);
    shared.names.lookup(&name).await
}

/// What is spoken after ALPN.
fn agreed(alpn: Option<&str>, wanted: Option<HttpVersion>) -> Result<HttpVersion, NetError> {
    match (alpn == Some("h2"), wanted) {
        (true, None | Some(HttpVersion::Http2)) => Ok(HttpVersion::Http2),
        (true, Some(other)) => Err(NetError::Protocol(format!("HTTP/2 was agreed on where {} was asked for", other.name()))),
        (false, Some(HttpVersion::Http2)) => Err(NetError::Protocol("the server did not agree on HTTP/2".to_owned())),
        (false, other) => Ok(other.unwrap_or(HttpVersion::Http11)),
    }
}

impl Hop {
    fn record(self, errand: &Errand, request: &Request, error: Option<&NetError>) -> Exchange {
        let (stretch, phases) = self.course.finish();
        let url = errand.url();
        Exchange {
            span_id: self.span_id,
            parent: request.parent,
            method: errand.method().to_string(),
            url: errand.shown(),
            host: url.host_str().map(|host| host.trim_matches(['[', ']']).to_owned()).unwrap_or_default(),
            port: url.port_or_known_default().unwrap_or_default(),
            stretch,
            phases,
            remote: self.remote,
            version: self.version,
            status: self.status,
            resend_count: errand.resend_count(),
            body_size: self.body_size,
            tls: self.tls.and_then(|facts| facts.info()),
            error: error.map(|error| (error.error_type(), error.to_string())),
        }
    }
}

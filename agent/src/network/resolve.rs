//! Names to addresses: the hosts file first, then the name servers of the system's configuration.

use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::SystemTime;

use hickory_resolver::config::{LookupIpStrategy, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError as Failure};
use hickory_resolver::proto::op::{Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::{Hosts, TokioResolver};
use parking_lot::Mutex;

use super::NetError;

const HOSTS: &str = "/etc/hosts";
const SERVERS: &str = "/etc/resolv.conf";

/// The system's ways to find addresses, read when first needed and again when their files change.
#[derive(Debug, Default)]
pub(super) struct Names {
    known: Mutex<Option<(Version, Arc<Directory>)>>,
}

/// When the files were last changed.
type Version = [Option<SystemTime>; 2];

/// One reading of the files.
#[derive(Debug)]
struct Directory {
    hosts: Hosts,
    servers: TokioResolver,
}

impl Names {
    /// All addresses of a name, IPv6 and IPv4 taking turns; never empty.
    pub(super) async fn lookup(&self, name: &str) -> Result<Vec<IpAddr>, NetError> {
        let directory = self.directory().map_err(|error| failed(name, &error))?;
        directory.lookup(name).await
    }

    fn directory(&self) -> Result<Arc<Directory>, Failure> {
        let version = [HOSTS, SERVERS].map(|path| fs::metadata(path).and_then(|file| file.modified()).ok());
        let mut known = self.known.lock();
        if let Some((at, directory)) = known.as_ref()
            && (*at == version || *at == PINNED)
        {
            return Ok(Arc::clone(directory));
        }
        let directory = Arc::new(Directory::of_system()?);
        *known = Some((version, Arc::clone(&directory)));
        Ok(directory)
    }

    /// Names as a test wants them: the text of a hosts file, and where the name server listens.
    #[cfg(test)]
    pub(super) fn pinned(hosts: &str, server: Option<std::net::SocketAddr>) -> Self {
        use hickory_resolver::config::{ConnectionConfig, NameServerConfig};
        let mut config = ResolverConfig::default();
        if let Some(server) = server {
            let mut connection = ConnectionConfig::udp();
            connection.port = server.port();
            config.add_name_server(NameServerConfig::new(server.ip(), true, vec![connection]));
        }
        let mut known = Hosts::default();
        known.read_hosts_conf(hosts.as_bytes()).unwrap();
        let directory = Directory::of(known, TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())).unwrap();
        Self { known: Mutex::new(Some((PINNED, Arc::new(directory)))) }
    }
}

/// Of a directory that does not come from files.
const PINNED: Version = [Some(SystemTime::UNIX_EPOCH); 2];

type Builder = hickory_resolver::ResolverBuilder<TokioRuntimeProvider>;

impl Directory {
    fn of_system() -> Result<Self, Failure> {
        let mut hosts = Hosts::default();
        if let Ok(file) = File::open(HOSTS) {
            // A line that is not understood is no reason to do without the others.
            let _ = hosts.read_hosts_conf(file);
        }
        // Where no name server is configured, names of the hosts file still have addresses.
        let builder = TokioResolver::builder_tokio()
            .unwrap_or_else(|_| TokioResolver::builder_with_config(ResolverConfig::default(), TokioRuntimeProvider::default()));
        Self::of(hosts, builder)
    }

    fn of(hosts: Hosts, mut builder: Builder) -> Result<Self, Failure> {
        let options = builder.options_mut();
        // What is cached is not measured; and a name that moves is to be followed at once.
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        Ok(Self { hosts, servers: builder.build()? })
    }

    async fn lookup(&self, name: &str) -> Result<Vec<IpAddr>, NetError> {
        let known = self.in_hosts(name);
        if !known.is_empty() {
            return Ok(alternate(known));
        }
        match self.servers.lookup_ip(name).await {
            Ok(found) => {
                let found: Vec<_> = found.iter().collect();
                if found.is_empty() { Err(no_address(name)) } else { Ok(alternate(found)) }
            }
            Err(error) => Err(failed(name, &error)),
        }
    }

    /// Both kinds from the hosts file, so that a name that has one there never waits for a name server.
    fn in_hosts(&self, name: &str) -> Vec<IpAddr> {
        let Ok(name) = Name::from_utf8(name.to_ascii_lowercase()) else { return Vec::new() };
        let kinds = [RecordType::AAAA, RecordType::A];
        let found = kinds.into_iter().filter_map(|kind| self.hosts.lookup_static_host(&Query::query(name.clone(), kind)));
        found.flat_map(|lookup| lookup.answers().iter().filter_map(|record| record.data.ip_addr()).collect::<Vec<_>>()).collect()
    }
}

/// The addresses of names that need no lookup (RFC 6761).
pub(super) fn well_known(name: &str) -> Option<Vec<IpAddr>> {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let local = name == "localhost" || name.ends_with(".localhost");
    local.then(|| vec![Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()])
}

/// IPv6 first, then the kinds in turn, each in the order in which it came; the same address once.
fn alternate(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let (mut six, mut four) = (Vec::new(), Vec::new());
    for address in addresses {
        let kind = if address.is_ipv6() { &mut six } else { &mut four };
        if !kind.contains(&address) {
            kind.push(address);
        }
    }
    let mut all = Vec::with_capacity(six.len() + four.len());
    for turn in 0..six.len().max(four.len()) {
        all.extend(six.get(turn).into_iter().chain(four.get(turn)));
    }
    all
}

fn no_address(name: &str) -> NetError {
    NetError::Dns { name: name.to_owned(), rcode: Some(0), message: "the name has no address".to_owned() }
}

fn failed(name: &str, error: &Failure) -> NetError {
    let (code, message) = match error {
        Failure::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NoError => return no_address(name),
            ResponseCode::NXDomain => (Some(ResponseCode::NXDomain), "no such name (NXDOMAIN)".to_owned()),
            code => (Some(code), format!("the name server answered: {code}")),
        },
        Failure::Dns(DnsError::ResponseCode(code)) => (Some(*code), format!("the name server answered: {code}")),
        Failure::Timeout | Failure::Io(_) | Failure::Busy => (None, format!("no answer from the name server ({error})")),
        Failure::NoConnections => (None, "no name server to ask".to_owned()),
        error => (None, error.to_string()),
    };
    NetError::Dns { name: name.to_owned(), rcode: code.map(u16::from), message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_addresses_take_turns() {
        let text = |list: Vec<IpAddr>| list.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let some = ["10.0.0.1", "10.0.0.2", "10.0.0.1", "::1", "10.0.0.3"].map(|text| text.parse().unwrap());
        assert_eq!(text(alternate(some.to_vec())), "::1 10.0.0.1 10.0.0.2 10.0.0.3");
    }

    #[test]
    fn localhost_needs_no_lookup() {
        assert!(well_known("localhost").is_some() && well_known("a.LOCALHOST.").is_some());
        assert!(well_known("localhost.example").is_none() && well_known("notlocalhost").is_none());
    }

    #[tokio::test]
    async fn a_name_in_the_hosts_file_asks_no_server() {
        let names = Names::pinned("127.0.0.1 here.example\n::1 both.example\n127.0.0.2 both.example # x", None);
        assert_eq!(names.lookup("Here.example").await.unwrap(), [IpAddr::from([127, 0, 0, 1])]);
        assert_eq!(names.lookup("both.example.").await.unwrap().len(), 2);
        assert!(matches!(names.lookup("else.example").await, Err(NetError::Dns { rcode: None, .. })));
    }
}

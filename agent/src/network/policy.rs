//! Who may be reached: judged by name before anything is looked up, and by address before anything is sent.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use super::{NetError, Policy, Reach};
use crate::config::AllowedHost;

/// Where clouds hand out credentials to whoever asks from within.
const METADATA_V4: [Ipv4Addr; 8] = [
    Ipv4Addr::new(169, 254, 169, 254), // AWS, Azure, GCP, and most others
    Ipv4Addr::new(169, 254, 169, 253), // the resolver beside it, which some use as a way in
    Ipv4Addr::new(169, 254, 170, 2),   // AWS ECS
    Ipv4Addr::new(169, 254, 170, 23),  // AWS EKS
    Ipv4Addr::new(169, 254, 0, 23),    // Tencent
    Ipv4Addr::new(100, 100, 100, 200), // Alibaba
    Ipv4Addr::new(192, 0, 0, 192),     // Oracle
    Ipv4Addr::new(168, 63, 129, 16),   // Azure's wire server
];
const METADATA_V6: [Ipv6Addr; 4] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x253),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];

/// What a grant for a destination covers once its name is an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grant {
    /// Whatever the name leads to, but for metadata.
    Any,
    /// A name that a plugin may reach. It covers private and loopback addresses, as the operator named it; it does
    /// not cover link-local ones, where the machine's own services live: those are granted as literals only.
    Name,
}

/// Whether the URL's host and port are granted.
pub(super) fn vet(policy: &Policy, url: &Url) -> Result<Grant, NetError> {
    let Some(host) = url.host() else { return Err(NetError::InvalidRequest("the URL has no host".to_owned())) };
    let port = url.port_or_known_default().unwrap_or_default();
    let grant = match &policy.reach {
        Reach::Operator => Grant::Any,
        Reach::Hosts(hosts) if hosts.iter().any(|allowed| covers(allowed, &host, port)) => match host {
            Host::Domain(_) => Grant::Name,
            Host::Ipv4(_) | Host::Ipv6(_) => Grant::Any,
        },
        Reach::Hosts(_) => return Err(NetError::Denied(format!("`{host}:{port}` is not among the plugin's `allow.hosts`"))),
    };
    match literal(&host) {
        Some(address) => vet_address(grant, address).map(|()| grant),
        None => Ok(grant),
    }
}

/// Whether an address may be connected to under this grant.
pub(super) fn vet_address(grant: Grant, address: IpAddr) -> Result<(), NetError> {
    if forms(address).into_iter().any(metadata) {
        return Err(NetError::Denied(format!("{address} is a cloud metadata address")));
    }
    if grant == Grant::Name && forms(address).into_iter().any(link_local) {
        return Err(NetError::Denied(format!("{address} is a link-local address, which `allow.hosts` grants by address only")));
    }
    Ok(())
}

/// The address that a host is without a lookup.
pub(super) fn literal(host: &Host<&str>) -> Option<IpAddr> {
    match host {
        Host::Ipv4(address) => Some((*address).into()),
        Host::Ipv6(address) => Some((*address).into()),
        Host::Domain(_) => None,
    }
}

fn covers(allowed: &AllowedHost, host: &Host<&str>, port: u16) -> bool {
    let name = allowed.host.trim_start_matches('[').trim_end_matches(']');
    let same = match literal(host) {
        Some(address) => name.parse::<IpAddr>().is_ok_and(|allowed| allowed.to_canonical() == address.to_canonical()),
        None => bare(&host.to_string()) == bare(name),
    };
    same && allowed.port.is_none_or(|allowed| allowed == port)
}

fn bare(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

fn metadata(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => METADATA_V4.contains(&address),
        IpAddr::V6(address) => METADATA_V6.contains(&address),
    }
}

fn link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// An address and every IPv4 address that it may be a way of writing or of reaching: mapped, compatible, NAT64
/// (well-known and local-use prefix), 6to4, Teredo, ISATAP.
fn forms(address: IpAddr) -> Vec<IpAddr> {
    let mut all = vec![address];
    if let IpAddr::V6(v6) = address {
        let segments = v6.segments();
        let pair = |high: u16, low: u16| {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            IpAddr::from([a, b, c, d])
        };
        match segments {
            [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
            | [0, 0, 0, 0, 0xffff, 0, high, low]
            | [0x64, 0xff9b, 0 | 1, _, _, _, high, low]
            | [_, _, _, _, 0 | 0x200, 0x5efe, high, low]
            | [0x2002, high, low, ..] => all.push(pair(high, low)),
            [0x2001, 0, _, _, _, _, high, low] => all.push(pair(!high, !low)),
            _ => {}
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(reach: &Reach, url: &str) -> Result<Grant, NetError> {
        vet(&Policy { reach: reach.clone(), insecure_tls: true }, &Url::parse(url).unwrap())
    }

    fn hosts(hosts: &[(&str, Option<u16>)]) -> Reach {
        Reach::Hosts(hosts.iter().map(|(host, port)| AllowedHost { host: (*host).to_owned(), port: *port }).collect())
    }

    #[test]
    fn metadata_addresses_are_denied_to_all_in_every_form() {
        let everything = hosts(&[("169.254.169.254", None), ("[fd00:ec2::254]", None), ("::ffff:169.254.169.254", None)]);
        for url in [
            "http://169.254.169.254/latest",
            "http://169.254.169.254.:80/",
            "http://2852039166/",
            "http://0xa9.0xfe.0xa9.0xfe/",
            "http://0251.0376.0251.0376/",
            "http://169.254.43518/",
            "http://①⑥⑨.254.169.254/",
            "http://[::ffff:169.254.169.254]/",
            "http://[::169.254.169.254]/",
            "http://[64:ff9b::169.254.169.254]/",
            "http://[64:ff9b:1::169.254.169.254]/",
            "http://[2002:a9fe:a9fe::1]/",
            "http://[2001:0:0:0:0:0:5601:5601]/",
            "http://[fe80::5efe:169.254.169.254]/",
            "http://[fd00:ec2::254]/",
            "http://[fd20:ce::254]/",
            "http://169.254.170.2/v2",
            "http://100.100.100.200/",
        ] {
            for reach in [&Reach::Operator, &everything] {
                assert!(matches!(judge(reach, url), Err(NetError::Denied(_))), "{url}");
            }
        }
    }

    #[test]
    fn the_operator_reaches_loopback_and_private_networks() {
        for url in ["http://127.0.0.1/", "http://10.1.2.3/", "http://[::1]/", "http://192.168.0.1/", "http://169.254.1.1/"] {
            assert_eq!(judge(&Reach::Operator, url).unwrap(), Grant::Any, "{url}");
        }
    }

    #[test]
    fn a_plugin_reaches_what_is_listed_and_nothing_else() {
        let reach = hosts(&[("shop.example.com", Some(443)), ("127.0.0.1", None), ("api.example", None)]);
        for url in [
            "https://shop.example.com/",
            "https://SHOP.example.com./",
            "http://127.0.0.1:8080/",
            "http://2130706433/",
            "http://api.example:1/",
        ] {
            assert!(judge(&reach, url).is_ok(), "{url}");
        }
        for url in [
            "http://shop.example.com/",
            "https://shop.example.com:8443/",
            "https://example.com/",
            "https://x.shop.example.com/",
            "https://shop.example.com.evil.example/",
            "http://127.0.0.2/",
            "http://localhost/",
            "http://[::1]/",
            "http://10.0.0.1/",
            "http://0.0.0.0/",
        ] {
            assert!(matches!(judge(&reach, url), Err(NetError::Denied(_))), "{url}");
        }
    }

    #[test]
    fn a_listed_name_covers_private_addresses_but_not_link_local_ones() {
        for address in ["10.0.0.1", "127.0.0.1", "::1", "fd12::1", "93.184.216.34"] {
            assert!(vet_address(Grant::Name, address.parse().unwrap()).is_ok(), "{address}");
        }
        for address in ["169.254.1.1", "fe80::1", "::ffff:169.254.1.1", "169.254.169.254", "fd00:ec2::254"] {
            assert!(vet_address(Grant::Name, address.parse().unwrap()).is_err(), "{address}");
        }
        assert!(vet_address(Grant::Any, "169.254.1.1".parse().unwrap()).is_ok());
    }
}

//! Networks that people type: `192.0.2.0/24`, `2001:db8::/32`, or a single address.

use std::net::IpAddr;

use coder_core::Fault;
use ipnet::IpNet;

/// Reads a list of networks; every entry that is none is a fault below `pointer`.
pub(crate) fn parse(texts: &[String], pointer: &str) -> Result<Vec<IpNet>, Vec<Fault>> {
    let (mut networks, mut faults) = (Vec::with_capacity(texts.len()), Vec::new());
    for (index, text) in texts.iter().enumerate() {
        match network(text) {
            Some(network) => networks.push(network),
            None => {
                let message = "This is no network such as `192.0.2.0/24`.";
                faults.push(Fault::new(format!("{pointer}/{index}"), "invalid_network", message));
            }
        }
    }
    if faults.is_empty() { Ok(networks) } else { Err(faults) }
}

fn network(text: &str) -> Option<IpNet> {
    let address = || text.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical()));
    text.parse().or_else(|_| address()).ok().map(|network: IpNet| network.trunc())
}

/// The networks as people typed them, in their shortest form.
pub(crate) fn texts(networks: &[IpNet]) -> Vec<String> {
    networks.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::{parse, texts};

    #[test]
    fn reads_networks_and_single_addresses() {
        let typed = ["192.0.2.7/24", "198.51.100.1", "2001:db8::1/32", "::ffff:10.0.0.1"].map(str::to_owned);
        let read = parse(&typed, "/allowedCidrs").unwrap();
        assert_eq!(texts(&read), ["192.0.2.0/24", "198.51.100.1/32", "2001:db8::/32", "10.0.0.1/32"]);
    }

    #[test]
    fn names_every_entry_that_is_none() {
        let typed = ["", "10.0.0.0/8", "10.0.0.0/33", "example.com"].map(str::to_owned);
        let faults = parse(&typed, "/allowedCidrs").unwrap_err();
        let pointers: Vec<_> = faults.into_iter().map(|fault| fault.pointer).collect();
        assert_eq!(pointers, ["/allowedCidrs/0", "/allowedCidrs/2", "/allowedCidrs/3"]);
    }
}

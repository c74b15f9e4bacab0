//! Networks as the server reads them in conditions.

use std::net::IpAddr;

/// A network, as the server reads it: an address without length is taken as /32, whatever its family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Network {
    bits: u128,
    mask: u128,
    v4: bool,
}

impl Network {
    /// Reads an address or a network.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, length) = text.split_once('/').unwrap_or((text, "32"));
        let address: IpAddr = address.parse().ok()?;
        let max: u32 = if address.is_ipv4() { 32 } else { 128 };
        let length: u32 = length.bytes().all(|byte| byte.is_ascii_digit()).then(|| length.parse().ok())??;
        let fixed = 128 - max.checked_sub(length)?;
        let mask = u128::MAX.checked_shl(128 - fixed).unwrap_or(0);
        let bits = wide(address) & mask;
        Some(Self { bits, mask, v4: fixed >= 96 && is_mapped(bits) })
    }

    /// Whether an address of the same family is in it.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        let address = wide(address);
        is_mapped(address) == self.v4 && address & self.mask == self.bits
    }
}

/// An address as 128 bits; the older family in its mapped form.
fn wide(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn is_mapped(bits: u128) -> bool {
    bits >> 32 == 0xffff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_contain_addresses_of_their_family() {
        let contains =
            |network: &str, address: &str| Network::parse(network).unwrap().contains(address.parse().unwrap());
        assert!(contains("10.0.0.0/8", "10.1.2.3") && !contains("10.0.0.0/8", "11.0.0.1"));
        assert!(contains("10.1.2.3", "10.1.2.3") && !contains("10.1.2.3", "10.1.2.4"));
        assert!(contains("0.0.0.0/0", "1.2.3.4") && !contains("0.0.0.0/0", "2001:db8::1"));
        assert!(contains("::/0", "2001:db8::1") && !contains("::/0", "1.2.3.4"));
        assert!(contains("2001:db8::1", "2001:db8:ffff::1"), "without length the server takes /32");
        assert!(contains("10.0.0.0/8", "::ffff:10.1.2.3"));
        assert!(
            ["10.0.0.0/33", "10.0.0/8", "x", "10.0.0.0/", "10.0.0.0/+8"]
                .iter()
                .all(|text| Network::parse(text).is_none())
        );
    }
}

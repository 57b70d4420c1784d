//! Names of meshes, domains, products and ports: `[a-z0-9-]+`, no dot, no underscore (Kafka confuses the two).

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is not a name: names are 1 to 63 of a-z, 0-9 and -, starting with a letter or digit")]
pub struct BadName {
    /// The text as given.
    pub text: String,
}

fn check(text: &str) -> Result<(), BadName> {
    let shape = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if text.is_empty() || text.len() > 63 || !text.bytes().all(shape) || text.starts_with('-') {
        return Err(BadName { text: text.to_owned() });
    }
    Ok(())
}

macro_rules! names {
    ($($(#[$doc:meta])* $type:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            /// The name as text.
            pub fn as_str(&self) -> &str { &self.0 }
        }
        impl std::str::FromStr for $type {
            type Err = BadName;
            fn from_str(text: &str) -> Result<Self, BadName> { check(text)?; Ok(Self(text.to_owned())) }
        }
        impl TryFrom<String> for $type {
            type Error = BadName;
            fn try_from(text: String) -> Result<Self, BadName> { check(&text)?; Ok(Self(text)) }
        }
        impl From<$type> for String {
            fn from(name: $type) -> String { name.0 }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.0) }
        }
    )*};
}

names! {
    /// A mesh's id: in every internal name, so that two meshes share a Kafka without touching.
    MeshId,
    /// A domain's name.
    DomainName,
    /// A product's name within its domain.
    ProductName,
    /// A port's name within its product.
    PortName,
    /// A Kafka's name in `weft.yaml`.
    ClusterName,
    /// A node's name among the nodes of its mesh.
    NodeName,
    /// An application that reads ports of the mesh with a key of its own.
    ClientName,
}

/// A data product: `insights.delays`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProductId {
    /// Its domain.
    pub domain: DomainName,
    /// Its name there.
    pub product: ProductName,
}

impl fmt::Display for ProductId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.domain, self.product)
    }
}

/// One major version of an output port: `insights.delays.current@1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PortId {
    /// The product it belongs to.
    pub product: ProductId,
    /// Its name there.
    pub port: PortName,
    /// Major version of its contract.
    pub major: u32,
}

impl fmt::Display for PortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}@{}", self.product, self.port, self.major)
    }
}

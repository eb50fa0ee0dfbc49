//! Byte strings in JSON: standard base64 (RFC 4648, section 4).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// For a field of type `Vec<u8>`.
pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    STANDARD.encode(bytes).serialize(serializer)
}

/// For a field of type `Vec<u8>`.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    STANDARD.decode(text.as_bytes()).map_err(serde::de::Error::custom)
}

/// For an answer of type `Result<Vec<u8>, Failure>`.
pub mod in_result {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::types::Failure;

    #[derive(Serialize, Deserialize)]
    struct Encoded(#[serde(with = "super")] Vec<u8>);

    /// For a field of type `Result<Vec<u8>, Failure>`.
    pub fn serialize<S: Serializer>(answer: &Result<Vec<u8>, Failure>, serializer: S) -> Result<S::Ok, S::Error> {
        answer.as_ref().map(|bytes| Encoded(bytes.clone())).serialize(serializer)
    }

    /// For a field of type `Result<Vec<u8>, Failure>`.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Result<Vec<u8>, Failure>, D::Error> {
        Ok(Result::<Encoded, Failure>::deserialize(deserializer)?.map(|encoded| encoded.0))
    }
}

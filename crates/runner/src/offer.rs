use crate::{Error, Suite};
use copriv_channel::{Channel, Cost};
use copriv_ir::Architecture;
use copriv_wire::{Role, messages};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

messages! {
    /// The length of the offer in bytes, 8 bytes little-endian.
    OfferLength: Bytes = 0x0501;
    /// The offer as JSON.
    OfferBody: Bytes = 0x0502;
    /// The client asks for one more inference.
    Request: Bytes = 0x0503;
}

/// The longest offer a client accepts: far above any network's, far below what hurts.
const MAX_OFFER: usize = 4 << 20;

/// What the client learns.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reveal {
    /// The network's output.
    #[default]
    Logits,
    /// The index of its largest element alone.
    Label,
}

impl fmt::Display for Reveal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Logits => "logits",
            Self::Label => "label",
        })
    }
}

impl FromStr for Reveal {
    type Err = Error;
    fn from_str(name: &str) -> Result<Self, Error> {
        match name {
            "logits" => Ok(Self::Logits),
            "label" => Ok(Self::Label),
            _ => Err(Error::UnknownReveal(name.into())),
        }
    }
}

/// Everything public about a service: what the server tells the client before anything else.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// The protocols.
    pub suite: Suite,
    /// What the client will learn.
    pub reveal: Reveal,
    /// The network without its weights.
    pub architecture: Architecture,
}

impl Offer {
    /// Reads an offer, which is hostile until it has been validated here.
    ///
    /// # Errors
    /// When the bytes are no offer or the architecture is not valid.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let offer: Self = serde_json::from_slice(bytes).map_err(|e| {
            // The text quotes the peer's bytes.
            Error::Offer(e.to_string().chars().filter(|c| !c.is_control()).take(200).collect())
        })?;
        offer.architecture.validate()?;
        Ok(offer)
    }

    fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let bytes = serde_json::to_vec(self).map_err(|e| Error::Offer(e.to_string()))?;
        if bytes.len() > MAX_OFFER {
            return Err(Error::Unsupported(format!("its description takes {} bytes", bytes.len())));
        }
        Ok(bytes)
    }

    /// Sends the offer (P0).
    pub(crate) fn send(&self, channel: &mut Channel) -> Result<(), Error> {
        let bytes = self.to_bytes()?;
        channel.send_bytes::<OfferLength>(&(bytes.len() as u64).to_le_bytes())?;
        channel.send_bytes::<OfferBody>(&bytes)?;
        Ok(copriv_session::agree(channel, "what the offer says", digest(&bytes))?)
    }

    /// Receives and validates the offer (P1).
    pub(crate) fn receive(channel: &mut Channel, insist: Option<Suite>) -> Result<Self, Error> {
        let length = channel.recv_bytes::<OfferLength>(8)?.try_into().map_or(u64::MAX, u64::from_le_bytes);
        if length > MAX_OFFER as u64 {
            let limit = format!("at most {MAX_OFFER} bytes");
            return Err(copriv_wire::Error::peer("length of the offer", limit, length).into());
        }
        let bytes = channel.recv_bytes::<OfferBody>(length as usize)?;
        let offer = Self::from_bytes(&bytes)?;
        if let Some(expected) = insist.filter(|&suite| suite != offer.suite) {
            return Err(Error::Suite { expected, got: offer.suite });
        }
        copriv_session::agree(channel, "what the offer says", digest(&bytes))?;
        Ok(offer)
    }

    /// The cost of telling the offer.
    pub(crate) fn cost(&self) -> Result<Cost, Error> {
        let length = self.to_bytes()?.len();
        let told = Cost::message(Role::P0, 8, 8) + Cost::message(Role::P0, length, 8);
        Ok(told + copriv_session::agree_cost())
    }
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(b"copriv offer").chain_update(bytes).finalize().into()
}

/// Asks for one more inference (P1).
pub(crate) fn request(channel: &mut Channel) -> Result<(), Error> {
    Ok(channel.send_bytes::<Request>(&[1])?)
}

/// Waits for the client to ask (P0); `false` when it has closed the connection instead.
pub(crate) fn requested(channel: &mut Channel) -> Result<bool, Error> {
    match channel.recv_bytes::<Request>(1) {
        Ok(_) => Ok(true),
        Err(copriv_wire::Error::Io(e)) if e.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// The cost of [`request`].
pub(crate) fn request_cost() -> Cost {
    Cost::message(Role::P1, 1, 8)
}

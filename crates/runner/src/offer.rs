use crate::program::Program;
use crate::{Error, Settings, Suite};
use copriv_channel::{Channel, Cost};
use copriv_ir::{Architecture, Preprocessing};
use copriv_ring::FixedPoint;
use copriv_session::VERSION;
use copriv_store::EntryId;
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
    /// What the client asks for: a byte, and 16 bytes of an entry's name, zero where it is about none.
    Request: Bytes = 0x0503;
    /// Whether the server has what is asked for.
    Answer: Bytes = 0x0504;
    /// The client has its half of an entry on its disk.
    Kept: Bytes = 0x0505;
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
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// The protocols, and what the client will learn.
    pub settings: Settings,
    /// The network that they run, without its weights: what the suite's graph passes have made of the original.
    pub architecture: Architecture,
    /// The store in which the server keeps entries, by its identity; none where it keeps none.
    pub store: Option<String>,
    /// How a picture becomes the network's input; none where the server says nothing. Left out of what is sent where there
    /// is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preprocessing: Option<Preprocessing>,
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
        offer.settings.validate(offer.architecture.width)?;
        if let Some(store) = &offer.store {
            // Not quoted: it is the peer's, and as long as the peer likes.
            store.parse::<EntryId>().map_err(|_| Error::Offer("its store has no identity".into()))?;
        }
        if let Some(preprocessing) = &offer.preprocessing {
            check_pictures(preprocessing, &offer.architecture)?;
        }
        Ok(offer)
    }

    fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let bytes = serde_json::to_vec(self).map_err(|e| Error::Offer(e.to_string()))?;
        if bytes.len() > MAX_OFFER {
            return Err(Error::Unsupported(format!("its description takes {} bytes", bytes.len())));
        }
        Ok(bytes)
    }

    /// Sends the offer (P0); what both have made of it comes next ([`agree`](Self::agree)).
    pub(crate) fn send(&self, channel: &mut Channel) -> Result<(), Error> {
        let bytes = self.to_bytes()?;
        channel.send_bytes::<OfferLength>(&(bytes.len() as u64).to_le_bytes())?;
        Ok(channel.send_bytes::<OfferBody>(&bytes)?)
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
        if let Some(expected) = insist.filter(|&suite| suite != offer.settings.suite) {
            return Err(Error::Suite { expected, got: offer.settings.suite });
        }
        Ok(offer)
    }

    /// Sees that both parties mean the same: this offer, and the same program for it.
    pub(crate) fn agree(&self, channel: &mut Channel, program: &Program) -> Result<(), Error> {
        let what = "the offer and the protocols chosen for it";
        Ok(copriv_session::agree(channel, what, self.digest(program)?)?)
    }

    /// Of everything that must be the same at both parties.
    fn digest(&self, program: &Program) -> Result<[u8; 32], Error> {
        let digest = Sha256::new().chain_update(b"copriv offer").chain_update(VERSION.to_le_bytes());
        let bytes = Sha256::digest(self.to_bytes()?);
        Ok(digest.chain_update(bytes).chain_update(program.digest()).finalize().into())
    }

    /// What entries of a store must be made for: this version of the wire protocol, this offer, this choice of protocols
    /// and, at the server, these weights. How pictures are prepared is no matter: entries are made before there is one.
    pub(crate) fn label(&self, program: &Program, role: Role, weights: &[u8]) -> Result<Vec<u8>, Error> {
        let label = Sha256::new().chain_update(b"copriv entry").chain_update([role.index() as u8]);
        let digest = Self { preprocessing: None, ..self.clone() }.digest(program)?;
        Ok(label.chain_update(digest).chain_update(weights).finalize().to_vec())
    }

    /// The cost of telling the offer.
    pub(crate) fn cost(&self) -> Result<Cost, Error> {
        let length = self.to_bytes()?.len();
        let told = Cost::message(Role::P0, 8, 8) + Cost::message(Role::P0, length, 8);
        Ok(told + copriv_session::agree_cost())
    }
}

/// Accepts a preprocessing that fits the network, and whose every pixel fits the ring: a client that found out with its
/// picture, and left, would tell something about it.
pub(crate) fn check_pictures(
    preprocessing: &Preprocessing,
    architecture: &Architecture,
) -> Result<(), Error> {
    preprocessing.check(architecture.input_shape())?;
    let Architecture { width, frac_bits, .. } = *architecture;
    let fixed = FixedPoint { width, frac_bits };
    let channels = preprocessing.mean.len().max(preprocessing.std.len());
    for (channel, n) in (0..channels).flat_map(|channel| [(channel, 0), (channel, 255)]) {
        // The largest and the least: between them a pixel only grows with its byte.
        let pixel = preprocessing.value(n, channel);
        fixed.encode(pixel.into()).map_err(|_| Error::Pixel { pixel, width, frac_bits })?;
    }
    Ok(())
}

/// What a client asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Asked {
    /// One inference, with whatever it needs made for it now.
    Inference,
    /// One inference with the material of a stored entry.
    Stored(EntryId),
    /// Material for one inference, to be stored as this entry.
    Preprocessing(EntryId),
}

/// Tells the server that this half is kept (P1).
pub(crate) fn tell_kept(channel: &mut Channel) -> Result<(), Error> {
    Ok(channel.send_bytes::<Kept>(&[1])?)
}

/// Waits until the client's half is kept (P0).
pub(crate) fn hear_kept(channel: &mut Channel) -> Result<(), Error> {
    match channel.recv_bytes::<Kept>(1)?[..] {
        [1] => Ok(()),
        ref other => {
            Err(copriv_wire::Error::peer("word that an entry is kept", 1, format!("{other:?}")).into())
        }
    }
}

/// The cost of that.
pub(crate) fn kept_cost() -> Cost {
    Cost::message(Role::P1, 1, 8)
}

/// Whether a server can do what is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Answered {
    Yes,
    /// It has no such entry, nor will have.
    Missing,
    /// Its entry is of another network or other weights.
    Other,
    /// It has no store.
    NoStore,
    /// It keeps as many entries as it may.
    Full,
    /// It has an entry of this name already.
    Exists,
}

const REQUEST: usize = 17;

impl Asked {
    /// Asks (P1).
    pub(crate) fn send(self, channel: &mut Channel) -> Result<(), Error> {
        let (kind, EntryId(id)) = match self {
            Self::Inference => (1, EntryId([0; 16])),
            Self::Stored(id) => (2, id),
            Self::Preprocessing(id) => (3, id),
        };
        let mut bytes = [kind; REQUEST];
        bytes[1..].copy_from_slice(&id);
        Ok(channel.send_bytes::<Request>(&bytes)?)
    }

    /// Waits for the client to ask (P0); none when it has closed the connection instead.
    pub(crate) fn receive(channel: &mut Channel) -> Result<Option<Self>, Error> {
        let bytes = match channel.recv_bytes::<Request>(REQUEST) {
            Ok(bytes) => bytes,
            Err(copriv_wire::Error::Io(e)) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
                return Ok(None);
            }
            Err(e) => return Err(e.into()),
        };
        let id = EntryId(std::array::from_fn(|i| bytes[i + 1]));
        match bytes[0] {
            1 => Ok(Some(Self::Inference)),
            2 => Ok(Some(Self::Stored(id))),
            3 => Ok(Some(Self::Preprocessing(id))),
            other => Err(copriv_wire::Error::peer("kind of request", "1 to 3", other).into()),
        }
    }

    /// The cost of asking.
    pub(crate) fn cost() -> Cost {
        Cost::message(Role::P1, REQUEST, 8)
    }
}

impl Answered {
    /// Answers (P0).
    pub(crate) fn send(self, channel: &mut Channel) -> Result<(), Error> {
        let code = match self {
            Self::Yes => 0,
            Self::Missing => 1,
            Self::NoStore => 2,
            Self::Full => 3,
            Self::Exists => 4,
            Self::Other => 5,
        };
        Ok(channel.send_bytes::<Answer>(&[code])?)
    }

    /// Hears the answer (P1).
    pub(crate) fn receive(channel: &mut Channel) -> Result<Self, Error> {
        match channel.recv_bytes::<Answer>(1)?[..] {
            [0] => Ok(Self::Yes),
            [1] => Ok(Self::Missing),
            [2] => Ok(Self::NoStore),
            [3] => Ok(Self::Full),
            [4] => Ok(Self::Exists),
            [5] => Ok(Self::Other),
            ref other => Err(copriv_wire::Error::peer("answer", "0 to 5", format!("{other:?}")).into()),
        }
    }

    /// What a no means to who has asked about `id` (P1).
    pub(crate) fn refusal(self, id: EntryId) -> Error {
        match self {
            Self::Yes | Self::Missing | Self::Other => Error::NoEntry,
            Self::NoStore => Error::ServerHasNoStore,
            Self::Full => Error::ServerIsFull,
            Self::Exists => copriv_store::Error::Exists { id }.into(),
        }
    }

    /// The cost of an answer.
    pub(crate) fn cost() -> Cost {
        Cost::message(Role::P0, 1, 8)
    }
}

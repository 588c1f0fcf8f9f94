use aes::cipher::{BlockCipherEncrypt, KeyInit};
use copriv_bits::Block;

/// AES-128 with an expanded key.
#[derive(Clone)]
pub struct Aes128(aes::Aes128);

impl Aes128 {
    /// Expands `key`.
    pub fn new(key: Block) -> Self {
        Self(aes::Aes128::new(&key.to_bytes().into()))
    }

    /// Encrypts every block in place.
    pub fn encrypt(&self, blocks: &mut [Block]) {
        for chunk in blocks.chunks_mut(64) {
            let mut buffer = [aes::Block::default(); 64];
            for (b, block) in buffer.iter_mut().zip(chunk.iter()) {
                *b = block.to_bytes().into();
            }
            self.0.encrypt_blocks(&mut buffer[..chunk.len()]);
            for (b, block) in buffer.iter().zip(chunk) {
                *block = Block::from_bytes((*b).into());
            }
        }
    }

    /// Counter mode: `out[i]` = AES(`first` + i).
    pub fn counter(&self, first: u128, out: &mut [Block]) {
        for (i, block) in out.iter_mut().enumerate() {
            *block = first.wrapping_add(i as u128).into();
        }
        self.encrypt(out);
    }
}

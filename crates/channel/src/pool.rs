use std::sync::{Arc, Mutex};

/// At most so many buffers of delivered messages are kept,
const BUFFERS: usize = 8;
/// and at most so many bytes of them.
const BYTES: usize = 16 << 20;

/// Buffers of delivered messages, on their way back to the sender.
#[derive(Clone, Default)]
pub struct Pool(Arc<Mutex<Vec<Vec<u8>>>>);

impl Pool {
    /// An empty vector.
    pub fn take(&self) -> Vec<u8> {
        // Whoever has panicked holding the lock has left a list of vectors as good as any.
        self.0.lock().unwrap_or_else(|e| e.into_inner()).pop().unwrap_or_default()
    }

    /// Keeps `buffer` for reuse, or drops the smallest of those there are.
    pub fn give(&self, mut buffer: Vec<u8>) {
        if buffer.capacity() == 0 || buffer.capacity() > BYTES {
            return;
        }
        buffer.clear();
        let mut kept = self.0.lock().unwrap_or_else(|e| e.into_inner());
        kept.push(buffer);
        while kept.len() > BUFFERS || kept.iter().map(Vec::capacity).sum::<usize>() > BYTES {
            let Some(smallest) = (0..kept.len()).min_by_key(|&i| kept[i].capacity()) else { return };
            kept.swap_remove(smallest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded() {
        let pool = Pool::default();
        (0..100).for_each(|_| pool.give(Vec::with_capacity(BYTES / 4)));
        assert_eq!(pool.0.lock().expect("not poisoned").len(), 4);
        (0..100).for_each(|_| pool.give(Vec::with_capacity(10)));
        assert!(pool.0.lock().expect("not poisoned").len() <= BUFFERS);
        pool.give(Vec::with_capacity(BYTES + 1));
        assert!(pool.0.lock().expect("not poisoned").iter().all(|b| b.capacity() <= BYTES));
        assert!((0..BUFFERS).any(|_| pool.take().capacity() >= BYTES / 4));
    }
}

//! Oblivious transfer: base OT, IKNP, KK13 and every conversion on top

//! The pure core: names, paths, documents, layout, index, compile, plan. No I/O.

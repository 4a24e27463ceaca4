//! Rules of the pass, each shown by lines.

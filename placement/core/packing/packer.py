"""Rows of one state packed into columns, for one interest."""

from itertools import compress

import numpy as np
from numpy.typing import NDArray

from placement.core.graph import DEPTH_MAX
from placement.core.oci import Digest
from placement.core.packed import (
    KEY_BYTES,
    WORD_REGIONS,
    Bytes,
    Keys,
    PackedContents,
    PackedPlacements,
    PackedTags,
    Words,
)
from placement.core.packing.gathering import (
    Coming,
    Rows,
    described,
    distinct,
    keys_of,
    kinds_by_type,
    originals_of,
    owners_and_contents,
    owners_of,
    presence,
    references_of,
    sizes_of,
)
from placement.core.state import State
from placement.core.tables import cells
from placement.core.tables.keys import tag_name
from placement.core.tables.table import ABSENT, Row
from placement.core.watched import Interest

Chosen = NDArray[np.bool_]


class Packer:
    """Packs rows of *state* as far as *interest* means them."""

    def __init__(self, state: State, interest: Interest) -> None:
        """Remember which repositories are meant."""
        self.state = state
        self._interest = interest
        self._meant: dict[int, bool] = {}
        self._by_type = kinds_by_type(state)

    def placements(
        self, rows: Rows, *, fresh: bool
    ) -> tuple[PackedPlacements, Rows] | None:
        """Return those of *rows* that are to be told, and their contents' rows."""
        state = self.state
        owners, contents = owners_and_contents(state, rows)
        complete, verified, coming = presence(state, rows)
        keep = self._means(owners) & self._there(rows, complete, coming, fresh=fresh)
        if not keep.all():
            rows, owners, contents = rows[keep], owners[keep], contents[keep]
            complete, verified = complete[keep], verified[keep]
            coming = coming[keep[coming[:, 0]]]
            coming[:, 0] = (np.cumsum(keep) - 1)[coming[:, 0]]
        if not len(rows):
            return None
        if not fresh:
            coming = self._emptied(complete, verified, coming)
        keys, others = keys_of(state, contents)
        names, indexes = distinct(owners, len(state.repositories))
        packed = PackedPlacements(
            fresh,
            tuple(state.repository_at(Row(row)) for row in names),
            tuple(state.region_at(Row(r)) for r in range(len(state.regions))),
            keys,
            indexes.astype(np.uint32),
            sizes_of(state, contents),
            self._kinds(contents),
            complete,
            verified if verified.any() else verified[:0].copy(),
            coming[:, 0].astype(np.uint32),
            coming[:, 1].astype(np.uint32),
            coming[:, 2].astype(np.uint8),
            coming[:, 3].copy(),
            others,
        )
        return packed, contents

    def _kinds(self, contents: Rows) -> Bytes:
        """Return the ContentKind of each content."""
        if len(self._by_type) <= len(self.state.media_types):
            self._by_type = kinds_by_type(self.state)
        types = self.state.digests.column(cells.Digest.MEDIA)[contents]
        kinds: Bytes = self._by_type[types]
        return kinds

    def _means(self, owners: Rows) -> Chosen:
        """Say of which repositories there is to be told."""
        if self._interest.everywhere:
            return np.ones(len(owners), np.bool_)
        names, indexes = distinct(owners, len(self.state.repositories))
        for owner in names:
            if owner not in self._meant:
                name = self.state.repository_at(Row(owner))
                self._meant[owner] = self._interest.means(name)
        return np.array([self._meant[owner] for owner in names], np.bool_)[indexes]

    def _there(
        self, rows: Rows, complete: Words, coming: Coming, *, fresh: bool
    ) -> Chosen:
        """Say which placements are to be told, by where they are."""
        if not self._interest.regions:
            if not fresh:
                return np.ones(len(rows), np.bool_)
            found: Chosen = np.bitwise_or.reduce(complete, axis=1) != 0
            found[coming[:, 0]] = True
            return found
        found = self._seen(complete, coming)
        if fresh:
            return found
        # What was in a watched region once and is there no more is gone.
        for position in np.flatnonzero(~found).tolist():
            known = self.state.indexes.regions_of(Row(int(rows[position])))
            names = map(self.state.region_at, known)
            found[position] = not self._interest.regions.isdisjoint(names)
        return found

    def _seen(self, complete: Words, coming: Coming) -> Chosen:
        """Say what is in a watched region, or on its way there."""
        state, mask = self.state, np.zeros(complete.shape[1], np.uint64)
        wanted = [state.regions.find(r.encode()) for r in self._interest.regions]
        for region in wanted:
            if region != ABSENT:
                word, bit = divmod(region, WORD_REGIONS)
                mask[word] |= np.uint64(1 << bit)
        found: Chosen = np.bitwise_or.reduce(complete & mask, axis=1) != 0
        found[coming[np.isin(coming[:, 1], wanted), 0]] = True
        return found

    def _emptied(self, complete: Words, verified: Words, coming: Coming) -> Coming:
        """Tell nothing of what is in no watched region; return what still comes."""
        if not self._interest.regions:
            return coming
        left = ~self._seen(complete, coming)
        complete[left] = 0
        verified[left] = 0
        return coming[~left[coming[:, 0]]]

    def closure(self, rows: Rows) -> Rows:
        """Return *rows* and what of those that they refer to is described itself."""
        found, level = rows, rows
        for _ in range(DEPTH_MAX):
            if not len(level):
                break
            _, children, _ = references_of(self.state, level)
            below = np.unique(described(self.state, np.unique(children)))
            level = np.setdiff1d(below, found)
            found = np.concatenate([found, level])
        return found

    def contents(self, rows: Rows) -> PackedContents:
        """Return what the contents of *rows* refer to, or were made of."""
        state = self.state
        counts, children, platforms = references_of(state, rows)
        keys, others = keys_of(state, rows)
        child_keys, child_others = keys_of(state, children)
        originals = originals_of(state, rows)
        converted = np.flatnonzero(originals)
        original_keys, more = keys_of(state, originals[converted] - 1)
        order = np.zeros(len(state.platforms) + 1, np.int64)
        said = np.unique(platforms[platforms > 0])
        order[said] = np.arange(len(said)) + 1
        return PackedContents(
            tuple(state.platform_at(Row(row)) for row in (said - 1).tolist()),
            keys,
            counts.astype(np.uint32),
            child_keys,
            sizes_of(state, children),
            self._kinds(children),
            order[platforms].astype(np.uint32),
            converted.astype(np.uint32),
            original_keys,
            tuple({*others, *child_others, *more}),
        )

    def tags(self, rows: Rows) -> PackedTags | None:
        """Return where those tags of *rows* point that are meant."""
        state, table = self.state, self.state.tags
        tag_keys = [table.key(Row(row)) for row in rows.tolist()]
        owners = owners_of(tag_keys)
        keep = self._means(owners)
        if not keep.all():
            rows, owners = rows[keep], owners[keep]
            tag_keys = list(compress(tag_keys, keep.tolist()))
        if not len(rows):
            return None
        digests, others = self._pointed(rows)
        names, indexes = distinct(owners, len(state.repositories))
        setters = table.column(cells.Tag.REGION)[rows]
        regions, set_regions = np.unique(setters, return_inverse=True)
        return PackedTags(
            tuple(state.repository_at(Row(row)) for row in names),
            tuple(state.region_at(Row(region)) for region in regions.tolist()),
            tuple([tag_name(key) for key in tag_keys]),
            indexes.astype(np.uint32),
            digests,
            set_regions.astype(np.uint32),
            table.column(cells.Tag.TIME)[rows],
            table.column(cells.Tag.SEQUENCE)[rows],
            others,
        )

    def _pointed(self, rows: Rows) -> tuple[Keys, tuple[Digest, ...]]:
        """Return what tags point to, or NO_KEY, and what those keys do not tell."""
        pointed = self.state.tags.column(cells.Tag.DIGEST)[rows]
        there = pointed > 0
        found = np.zeros((len(rows), KEY_BYTES), np.uint8)
        found[there], others = keys_of(self.state, pointed[there] - 1)
        return found, others

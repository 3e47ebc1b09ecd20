"""Rules of starting: what activities want, what they get, in which order."""

from __future__ import annotations

from firsttoken.supply import sim_ops as op
from firsttoken.supply.sim_flow import Flow
from firsttoken.supply.sim_waves import Contest, Wave
from firsttoken.supply.system import PLAN, PULL, PUSH


class Starts(Flow):
    """Writes what starts."""

    def _serve(self, wave: Wave) -> None:
        """Wishes, rationing, starts."""
        net = self.net
        contested = {
            (contest.is_resource, k)
            for contests in wave.contests
            for contest in contests
            for k, _ in contest.entries
        }
        for i, a in enumerate(wave.activities):
            self._wish(a, self.want[i], self.reason[i], contested)
        if wave.contests:
            self._ration(wave)
        for i, a in enumerate(wave.activities):
            for k in self._range(net.use_start, a):
                self.emit(
                    op.TAKE, self.left[net.use_resource[k]], self.want[i], net.use_quantity[k]
                )
            self.emit(op.COUNT, self.reason[i], a)
            self._start(a, self.want[i])

    def _wish(self, a: int, want: int, reason: int, contested: set[tuple[bool, int]]) -> None:
        """What policy, capacity and what it need not share let it start.

        Without policy and capacity a wish is what it could start if it had to share nothing.
        """
        net = self.net
        bounded_wish = net.release[a] != PUSH or net.capacity[a] >= 0
        bounded = [k for k in self._range(net.output_start, a) if self._has_maximum(k)]
        rate = int(net.capacity[a])
        if net.release[a] == PUSH and bounded and self._is_plain(bounded[0]):
            self.emit(op.PULL, want, reason, self.room[net.output_node[bounded[0]]])
            rest = bounded[1:]
        elif net.release[a] == PUSH and rate >= 0 and not bounded:
            self.emit(op.FULL, want, reason, rate)
            rate, rest = -1, []
        else:
            self._policy(a, want, reason)
            rest = bounded
        for k in rest:
            self._least(want, self.room[net.output_node[k]], self._made(a, k))
        if rate >= 0:
            self.emit(op.LIMIT_RATE, want, reason, rate)
        if net.available[a] >= 0:
            self.emit(op.LIMIT_OPEN, want, reason, net.available[a])
        for k in self._range(net.input_start, a):
            if bounded_wish and (False, k) in contested:
                continue
            units = self.stock[net.input_node[k]]
            self._limit((want, reason), units, net.input_quantity[k], op.MATERIAL)
        for k in self._range(net.use_start, a):
            if bounded_wish and (True, k) in contested:
                continue
            units = self.left[net.use_resource[k]]
            self._limit((want, reason), units, net.use_quantity[k], op.RESOURCE)
        for k in bounded:
            if len(self._made_at(int(net.output_node[k]))) > 1:
                self._take(self.room[net.output_node[k]], want, self._made(a, k))

    def _policy(self, a: int, want: int, reason: int) -> None:
        """What an activity would start if nothing were scarce."""
        if self.net.release[a] == PLAN:
            self.emit(op.PLAN, want, reason, self.begun[a], a)
        elif self.net.release[a] == PULL:
            self.emit(op.PULL, want, reason, self.outstanding[a])
        else:
            self.emit(op.PUSH, want, reason)

    def _has_maximum(self, k: int) -> bool:
        return bool(self.net.stock_maximum[self.net.output_node[k]] >= 0)

    def _made(self, a: int, k: int) -> int:
        """Row with the units a run is planned to make of output k."""
        if self.planned[a] < 0:
            return int(self.net.output_quantity[k])
        self.emit(op.COPY, self.s, self.net.output_quantity[k])
        self.emit(op.MULTIPLY, self.s, self.planned[a])
        return int(self.s)

    def _ration(self, wave: Wave) -> None:
        """Cut wishes to what material and resources allow together.

        First everybody gets the share that the scarcest of his places can give to all, in
        proportion to wishes or to declared shares; then, one after another, what is left.
        """
        index = {a: i for i, a in enumerate(wave.activities)}
        for contests in wave.contests:
            for c, contest in enumerate(contests):
                self.emit(op.ZERO, self.total[c])
                for k, a in contest.entries:
                    self._add(self.total[c], self.want[index[a]], self._quantity(contest, k))
                self.emit(op.SCARCE, self.total[c], self._place(contest))
            members = sorted({a for contest in contests for _, a in contest.entries})
            with self.p.skipping(op.SKIP_PLENTY):
                self._share_out(contests, {a: index[a] for a in members})

    def _share_out(self, contests: tuple[Contest, ...], index: dict[int, int]) -> None:
        net = self.net
        for i in index.values():
            self.emit(op.FILL, self.ratio[i], 1)
            self.emit(op.COPY, self.blame[i], self.reason[i])
        for c, contest in enumerate(contests):
            self._lower(contest, self.total[c], index)
        nodes = {int(net.input_node[k]) for a in index for k in self._range(net.input_start, a)}
        machines = {int(net.use_resource[k]) for a in index for k in self._range(net.use_start, a)}
        for n in sorted(nodes):
            self.emit(op.COPY, self.free[n], self.stock[n])
        for r in sorted(machines):
            self.emit(op.COPY, self.free_left[r], self.left[r])
        for a, i in index.items():
            self.emit(op.GRANT, self.want[i], self.ratio[i])
            self._take_free(a, self.want[i])
        for a, i in index.items():
            self._grant_rest(i, a)

    def _quantity(self, contest: Contest, k: int) -> int:
        column = self.net.use_quantity if contest.is_resource else self.net.input_quantity
        return int(column[k])

    def _place(self, contest: Contest) -> int:
        return int((self.left if contest.is_resource else self.stock)[contest.place])

    def _lower(self, contest: Contest, total: int, index: dict[int, int]) -> None:
        """Lower the ratios of those who compete for a place to what it can give."""
        place, code = self._place(contest), op.RESOURCE if contest.is_resource else op.MATERIAL
        shared = any(self.net.share[a] >= 0 for _, a in contest.entries)
        if shared:
            self.emit(op.ZERO, self.good)
            for _, a in contest.entries:
                weight = self._declared_share(a)
                self.emit(op.ADD_WEIGHT, self.good, weight, self.want[index[a]])
        else:
            self.emit(op.RATIO, self.share, place, total)
        for k, a in contest.entries:
            if shared:
                self.emit(op.ZERO, self.s)
                self.emit(op.ADD_PRODUCT, self.s, self.want[index[a]], self._quantity(contest, k))
                weight = self._declared_share(a)
                self.emit(op.SHARE_RATIO, self.share, place, weight, self.good, self.s, total)
            i = index[a]
            self.emit(op.LOWER, self.ratio[i], self.blame[i], self.share, code)

    def _declared_share(self, a: int) -> int:
        """Row with the declared share of activity a; 1 for those without among others."""
        if self.net.share[a] >= 0:
            return self.p.parameter(int(self.net.share[a]))
        self.emit(op.FILL, self.s2, 1)
        return int(self.s2)

    def _take_free(self, a: int, x: int) -> None:
        net = self.net
        for k in self._range(net.input_start, a):
            self._take(self.free[net.input_node[k]], x, net.input_quantity[k])
        for k in self._range(net.use_start, a):
            self._take(self.free_left[net.use_resource[k]], x, net.use_quantity[k])

    def _grant_rest(self, i: int, a: int) -> None:
        """Grant an activity what it still wants, as far as there is any."""
        net, rest = self.net, self.ratio[i]
        self.emit(op.COPY, self.s, rest)
        for k in self._range(net.input_start, a):
            self._least(rest, self.free[net.input_node[k]], net.input_quantity[k])
        for k in self._range(net.use_start, a):
            self._least(rest, self.free_left[net.use_resource[k]], net.use_quantity[k])
        self._take_free(a, rest)
        self.emit(op.ADD, self.want[i], rest)
        self.emit(op.BLAME, self.reason[i], self.blame[i], self.s, rest)

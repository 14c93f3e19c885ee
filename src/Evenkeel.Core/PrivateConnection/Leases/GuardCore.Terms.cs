using Evenkeel.Core.Model;

namespace Evenkeel.Core.PrivateConnection.Leases;

// This node's leases: from the agent's wish through the open door to the door's confirmed end.
public sealed partial class GuardCore
{
    private void Acquire(Acquire wish, Instant now)
    {
        if (_configuration is null)
        {
            Tell(new GuardWarning($"{wish.Resource} cannot be acquired before the guard is configured"));
            return;
        }
        if (Find(wish.Resource, wish.Epoch) is { IsEnding: false } known) { Adopt(known); return; }
        if (_exitAt is not null || IsOver(wish))
        {
            Tell(new LeaseChanged(wish.Resource, wish.Epoch, LeasePhase.Ended, "this epoch is over"));
            return;
        }
        // An older epoch of ours: its door must be seen closed; the voters' wait keeps the new one back until then.
        EndTerms(term => term.Holder.Resource == wish.Resource, $"epoch {wish.Epoch} follows", now);
        _terms.Add(new LeaseTerm(new LeaseHolder(wish.Resource, wish.Epoch, wish.PreviousFenced, _rules), wish.Doors) { AskedAt = now });
        Tell(new LeaseChanged(wish.Resource, wish.Epoch, LeasePhase.Acquiring, ""));
        _askNow = true;
    }

    private bool IsOver(Acquire wish) =>
        _rules.EndedStaysEnded && ((_ended.TryGetValue(wish.Resource, out var last) && wish.Epoch <= last)
            || _terms.Any(term => term.Holder.Resource == wish.Resource && wish.Epoch <= term.Holder.Epoch));

    // A restarted agent takes over what its predecessor acquired.
    private void Adopt(LeaseTerm term)
    {
        term.OrphanedAt = null;
        if (term.Announced && term.HasListener) term.ListenerProcess = _agentProcess;
        Tell(new LeaseChanged(term.Holder.Resource, term.Holder.Epoch, term.Announced ? LeasePhase.Held : LeasePhase.Acquiring, ""));
    }

    private void Release(Release wish, Instant now)
    {
        if (Find(wish.Resource, wish.Epoch) is { } term) EndTerm(term, "released", now);
        else
        {
            // Given back before it was acquired: late requests of it must find it over.
            MarkEnded(wish.Resource, wish.Epoch);
            Tell(new LeaseChanged(wish.Resource, wish.Epoch, LeasePhase.Ended, "released"));
        }
    }

    private void CloseOverdue(Instant now)
    {
        if (!_rules.CloseAtDeadline) return;
        for (var i = _terms.Count - 1; i >= 0; i--)
            if (_terms[i] is { MayBeOpen: true, IsEnding: false } term && (term.CloseBy(Timings) is not { } close || now.IsPastDeadline(close)))
                EndTerm(term, "no majority of the voters renewed it", now);
    }

    private void EndTerms(Func<LeaseTerm, bool> which, string reason, Instant now)
    {
        for (var i = _terms.Count - 1; i >= 0; i--)
            if (which(_terms[i])) EndTerm(_terms[i], reason, now);
    }

    private void EndTerm(LeaseTerm term, string reason, Instant now)
    {
        if (term.IsEnding) return;
        var deadline = term.Holder.Deadline ?? now;
        term.EndReason = reason;
        term.LastDeadline = deadline;
        term.Holder.BecomeEnded();
        MarkEnded(term.Holder.Resource, term.Holder.Epoch);
        if (!_rules.CloseBeforeRelease) GiveBack(term, now);
        for (var i = 0; i < term.Doors.Count; i++)
        {
            if (term[i] == LeaseTerm.DoorState.Shut) term[i] = LeaseTerm.DoorState.Closed;
            else if (term.Doors[i] is ListenerEnforcement) CloseListener(term, i, deadline, now);
            else term[i] = LeaseTerm.DoorState.Closing;
        }
        Insist(term, now);
        FinishWhenClosed(term, now);
    }

    private void CloseListener(LeaseTerm term, int door, Instant deadline, Instant now)
    {
        term[door] = LeaseTerm.DoorState.Closing;
        // Without a pipe nobody would hear the request; a process that may still listen is ended instead.
        var kill = _agentProcess == term.ListenerProcess ? deadline + -(Timings.Lease / 10) : now;
        term.KillAt = kill;
        var within = TimeSpan.FromTicks(Math.Max(0, kill.BootNanoseconds - now.BootNanoseconds) / 100);
        if (_agentProcess == term.ListenerProcess) Tell(new CloseListener(term.Holder.Resource, term.Holder.Epoch, within));
    }

    // What is not yet closed is asked for again each beat.
    private void Insist(LeaseTerm term, Instant now)
    {
        term.InsistAt = now + Timings.Beat;
        for (var i = 0; i < term.Doors.Count; i++)
            if (term[i] == LeaseTerm.DoorState.Closing && term.Doors[i] is not ListenerEnforcement)
                _effects.Add(new CloseDoor(term.Holder.Resource, term.Holder.Epoch, term.Doors[i]));
        foreach (var instance in _instances.Under(term.Name)) _effects.Add(new SignalInstance(instance, SigKill, Tree: true));
    }

    private void FinishWhenClosed(LeaseTerm term, Instant now)
    {
        if (!term.AllDoors(LeaseTerm.DoorState.Closed) || _instances.Under(term.Name).Any()) return;
        _terms.Remove(term);
        if (_rules.CloseBeforeRelease) GiveBack(term, now);
        Tell(new LeaseChanged(term.Holder.Resource, term.Holder.Epoch, LeasePhase.Ended, term.EndReason!));
    }

    private void GiveBack(LeaseTerm term, Instant now)
    {
        // After a lease's length every grant of it has run out, heard or not.
        _releases.Add((term.Name, now + Timings.Lease.Lengthened(Timings, _rules)));
        if (_configuration is { } configuration) _voter.Release(configuration.Self, term.Name);
        _askNow = true;
    }

    private void MarkEnded(ResourceId resource, Epoch epoch)
    {
        if (!_ended.TryGetValue(resource, out var last) || epoch > last) _ended[resource] = epoch;
    }

    private void Progress(LeaseTerm term, Instant now)
    {
        if (term.IsEnding) { ProgressEnd(term, now); return; }
        if (term.Holder.Refusal is { } refusal) { EndTerm(term, refusal, now); return; }
        if (term.Holder.WaitEnds is not null) term.PromisedAt ??= now;
        if (term.Holder.TryBecomeOwner(now))
        {
            term.WaitedAt = now;
            _askNow = true;
        }
        if (term.CloseBy(Timings) is not { } until || (_rules.CloseAtDeadline && now.IsPastDeadline(until))) return;
        term.GrantedAt ??= now;
        if (!term.Announced) Open(term, until, now);
        else if (term.RenewedUntil is not { } before || until.BootNanoseconds > before.BootNanoseconds) Renew(term, until);
    }

    private void ProgressEnd(LeaseTerm term, Instant now)
    {
        FinishWhenClosed(term, now);
        if (!_terms.Contains(term) || !now.HasWaitedUntil(term.InsistAt)) { KillWhenDue(term, now); return; }
        Insist(term, now);
        KillWhenDue(term, now);
    }

    private void KillWhenDue(LeaseTerm term, Instant now)
    {
        if (term.KillAt is not { } kill || !now.IsPastDeadline(kill) || !_terms.Contains(term)) return;
        for (var i = 0; i < term.Doors.Count; i++)
        {
            if (term.Doors[i] is not ListenerEnforcement || term[i] != LeaseTerm.DoorState.Closing) continue;
            _effects.Add(new KillAgent(term.ListenerProcess, $"its listener of {term.Name.Resource} was not closed in time ({term.EndReason})"));
            term.KillAt = now + Timings.Beat;
            return;
        }
    }

    private void Open(LeaseTerm term, Instant until, Instant now)
    {
        var waiting = false;
        for (var i = 0; i < term.Doors.Count; i++)
        {
            if (term.Doors[i] is ListenerEnforcement || term[i] == LeaseTerm.DoorState.Open) continue;
            waiting = true;
            if (term[i] != LeaseTerm.DoorState.Shut) continue;
            term[i] = LeaseTerm.DoorState.Opening;
            _effects.Add(new OpenDoor(term.Holder.Resource, term.Holder.Epoch, term.Doors[i], until));
        }
        if (waiting || (term.HasListener && _agentProcess == 0)) return;
        for (var i = 0; i < term.Doors.Count; i++) term[i] = LeaseTerm.DoorState.Open;
        term.Announced = true;
        term.RenewedUntil = until;
        if (term.HasListener) term.ListenerProcess = _agentProcess;
        TellListenerLease(term);
        Tell(new LeaseChanged(term.Holder.Resource, term.Holder.Epoch, LeasePhase.Held, "",
            new LeaseSteps(term.AskedAt, term.PromisedAt ?? now, term.WaitedAt ?? now, term.GrantedAt ?? now, now)));
    }

    private void Renew(LeaseTerm term, Instant until)
    {
        term.RenewedUntil = until;
        foreach (var door in term.Doors)
            if (door is not ListenerEnforcement) _effects.Add(new RenewDoor(term.Holder.Resource, term.Holder.Epoch, door, until));
        TellListenerLease(term);
    }

    // Should both guard and agent freeze, the agent's own kernel timer ends it before the lease does.
    private void TellListenerLease(LeaseTerm term)
    {
        if (term.HasListener && term.Holder.Deadline is { } deadline)
            Tell(new ListenerLease(term.Holder.Resource, term.Holder.Epoch, deadline + -(Timings.Lease / 10)));
    }

    private void TakeDoorResult(DoorResult result, Instant now)
    {
        if (Find(result.Resource, result.Epoch) is not { } term || term.IndexOf(result.Door) is var door && door < 0) return;
        switch (result)
        {
            case { Move: DoorMove.Closed, Error: null }:
                if (term[door] == LeaseTerm.DoorState.Closing) term[door] = LeaseTerm.DoorState.Closed;
                break;
            case { Move: DoorMove.Closed }:
                Tell(new GuardWarning($"{result.Resource} is not closed yet: {result.Error}"));
                break;
            case { Error: { } error }:
                EndTerm(term, error, now);
                break;
            case { Move: DoorMove.Opened }:
                if (term[door] == LeaseTerm.DoorState.Opening) term[door] = LeaseTerm.DoorState.Open;
                break;
        }
    }
}

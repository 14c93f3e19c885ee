using Evenkeel.Core.Model;

namespace Evenkeel.Core.PrivateConnection.Leases;

// Votes for others, and questions to the other voters.
public sealed partial class GuardCore
{
    private void TakeAsks(NodeName from, AskDatagram ask, Instant now)
    {
        if (_configuration is not { } configuration || !configuration.Guards.Any(guard => guard.Node == from)) return;
        foreach (var release in ask.Releases) _voter.Release(from, release);
        if (ask.Asks.Count == 0) return;
        var votes = _quorum.Voters.Contains(configuration.Self);
        var answers = new LeaseAnswer[ask.Asks.Count];
        for (var i = 0; i < answers.Length; i++)
        {
            var one = ask.Asks[i];
            answers[i] = votes
                ? _voter.Answer(from, ask.Sender, one, configuration.Timings, now)
                : new(one.Resource, one.Epoch, AnswerKind.NotVoting, TimeSpan.Zero, Epoch.None);
        }
        _effects.Add(new SendDatagram(from, new AnswerDatagram(_session, ask.Sender, ask.AskedAt, answers)));
    }

    private void TakeAnswers(NodeName from, AnswerDatagram answer, Instant now)
    {
        // A question that this session did not ask, or asked in the future, is a fault of the sender's: it gives no right.
        if (answer.To != _session || !now.HasWaitedUntil(answer.AskedAt) || !_quorum.Voters.Contains(from)) return;
        foreach (var one in answer.Answers)
            if (Find(one.Resource, one.Epoch) is { } term) term.Holder.Take(from, one, answer.AskedAt, now, Timings, _quorum);
    }

    private void Ask(Instant now)
    {
        if (_configuration is not { } configuration) return;
        _releases.RemoveAll(release => now.HasWaitedUntil(release.Until));
        var asks = new List<LeaseAsk>(_terms.Count);
        foreach (var term in _terms)
            if (!term.IsEnding) asks.Add(term.Holder.Ask);
        if (asks.Count == 0 && _releases.Count == 0) return;

        var releases = _releases.Count == 0 ? (IReadOnlyList<HeldLease>)[] : _releases.ConvertAll(release => release.Lease);
        var datagram = new AskDatagram(_session, now, asks, releases);
        foreach (var voter in _quorum.Voters)
            if (voter != configuration.Self) _effects.Add(new SendDatagram(voter, datagram));
        if (_quorum.Voters.Contains(configuration.Self)) AskMyself(configuration, asks, now);
    }

    private void AskMyself(Configure configuration, List<LeaseAsk> asks, Instant now)
    {
        foreach (var ask in asks)
        {
            var answer = _voter.Answer(configuration.Self, _session, ask, configuration.Timings, now);
            Find(ask.Resource, ask.Epoch)?.Holder.Take(configuration.Self, answer, now, now, configuration.Timings, _quorum);
        }
    }

    private LeaseTerm? Find(ResourceId resource, Epoch epoch)
    {
        foreach (var term in _terms)
            if (term.Holder.Epoch == epoch && term.Holder.Resource == resource) return term;
        return null;
    }
}

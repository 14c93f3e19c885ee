using Evenkeel.Core.Loop.Ports;

namespace Evenkeel.PrivateConnection.Store;

/// <summary>
/// Requests whose earlier attempt may still be applied. A retry that could not be sent is surely not applied itself, yet the
/// transaction may be: it stays Indeterminate until an attempt is answered. Holds the latest <see cref="Most"/>; a caller
/// with more open at once must keep count itself.
/// </summary>
internal sealed class DoubtfulRequests
{
    public const int Most = 4096;
    private readonly Lock _gate = new();
    private readonly HashSet<Guid> _ids = [];
    private readonly Queue<Guid> _order = new();

    public bool Contains(Guid id)
    {
        lock (_gate)
        {
            return _ids.Contains(id);
        }
    }

    /// <summary>Corrects an attempt's outcome by what is known of earlier attempts, and remembers it.</summary>
    public CommitResult Settle(Guid id, CommitResult attempt)
    {
        lock (_gate)
        {
            switch (attempt.Outcome)
            {
                case CommitOutcome.Indeterminate:
                    if (_ids.Add(id))
                    {
                        _order.Enqueue(id);
                        while (_order.Count > Most)
                        {
                            _ids.Remove(_order.Dequeue());
                        }
                    }

                    return attempt;
                case CommitOutcome.Unavailable:
                    return _ids.Contains(id) ? attempt with { Outcome = CommitOutcome.Indeterminate } : attempt;
                default:
                    // Its place in the order stays until it is pushed out; harmless.
                    _ids.Remove(id);
                    return attempt;
            }
        }
    }
}

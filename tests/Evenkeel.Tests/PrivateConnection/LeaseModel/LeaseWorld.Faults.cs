using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection.Leases;

namespace Evenkeel.Tests.PrivateConnection.LeaseModel;

// What goes wrong in the model, and how messages travel.
internal sealed partial class LeaseWorld
{
    private void Send(Node from, Node to, GuardDatagram datagram)
    {
        if (_cuts.Contains((from.Index, to.Index)) || _random.NextDouble() < 0.03) return;
        for (var copies = _random.NextDouble() < 0.02 ? 2 : 1; copies > 0; copies--)
        {
            var delay = _random.NextDouble() < _fast ? -Math.Log(1 - _random.NextDouble()) : Between(0, 400);
            After(delay, () => Arrive(from, to, datagram));
        }
    }

    private void Arrive(Node from, Node to, GuardDatagram datagram)
    {
        if (to.FrozenUntil > Now) { After(to.FrozenUntil - Now + 0.001, () => Arrive(from, to, datagram)); return; }
        Step(to, new DatagramReceived(Name(from.Index), datagram));
    }

    private void Fault()
    {
        var kind = _random.NextDouble();
        var node = Nodes[_random.Next(Nodes.Count)];
        if (kind < 0.25) Crash(node);
        else if (kind < 0.33) Freeze(node);
        else if (kind < 0.45) Cut(node);
        else if (kind < 0.6) LoseOwner();
        else if (kind < 0.9) Decide(fenced: false);
        else if (Nodes[Committed.Owner] is { Guard: not null } owner) { Crash(owner); Decide(fenced: true); }
        After(-Math.Log(1 - _random.NextDouble()) * _faultsEvery, Fault);
    }

    private void Crash(Node node)
    {
        if (node.Guard is null) return;
        node.Guard = null;
        node.OpenUntil = null;
        node.Life++;
        After(_random.NextDouble() < 0.5 ? Between(1, 60) : Between(1, 600), () => Start(node));
    }

    // Only where the kernel closes the door of a frozen guard.
    private void Freeze(Node node)
    {
        if (_kernelEnforces) node.FrozenUntil = Now + Between(1, 500);
    }

    private void Cut(Node node)
    {
        var other = _random.Next(Nodes.Count);
        HashSet<(int, int)> pairs = [(node.Index, other)];
        if (_random.NextDouble() < 0.5) pairs.Add((other, node.Index));
        if (_random.NextDouble() < 0.4) foreach (var peer in Nodes) { pairs.Add((node.Index, peer.Index)); pairs.Add((peer.Index, node.Index)); }
        pairs.RemoveWhere(pair => pair.Item1 == pair.Item2);
        _cuts.UnionWith(pairs);
        After(Between(20, 900), () => _cuts.ExceptWith(pairs));
    }

    // What a controller is for: the owner is cut off, and soon another is decided.
    private void LoseOwner()
    {
        var owner = Nodes[Committed.Owner];
        HashSet<(int, int)> pairs = [];
        foreach (var peer in Nodes.Where(peer => peer != owner)) { pairs.Add((owner.Index, peer.Index)); pairs.Add((peer.Index, owner.Index)); }
        _cuts.UnionWith(pairs);
        After(Between(20, 900), () => _cuts.ExceptWith(pairs));
        After(Between(0, 200), () => Decide(fenced: false));
        // The voters may lose their memory in the same bad moment.
        if (_random.NextDouble() < 0.2) foreach (var peer in Nodes.Where(peer => peer != owner)) Crash(peer);
    }

    // The controller's decision, right or wrong.
    private void Decide(bool fenced)
    {
        var owner = Nodes[_random.Next(Nodes.Count)];
        _history.Add(new(Now, owner.Index, owner.Guard?.Session ?? default, Committed.Epoch.Next, fenced));
        if (_history.Count > 200) _history.RemoveRange(0, 100);
        Decisions++;
    }

    private void Later(Node node, double localMilliseconds, Action action)
    {
        var life = node.Life;
        After(localMilliseconds, Run);
        void Run()
        {
            if (node.Life != life || node.Guard is null) return;
            if (node.FrozenUntil > Now) After(node.FrozenUntil - Now, Run);
            else action();
        }
    }

    private void After(double milliseconds, Action action) => _queue.Enqueue(action, (Now + milliseconds, _order++));
    private double Between(double low, double high) => low + _random.NextDouble() * (high - low);
    private double Spread(double bound) => Between(-bound, bound);
    private double Pick(params ReadOnlySpan<double> options) => options[_random.Next(options.Length)];
}

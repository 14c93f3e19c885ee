using Evenkeel.Core.Model;

namespace Evenkeel.Simulation.World;

/// <summary>The private network: one-way cuts, loss, doubles, late and so reordered messages.</summary>
public sealed class SimNetwork(VirtualTime time, Chance chance)
{
    private readonly Dictionary<(NodeName From, NodeName To), int> cuts = [];

    public double Loss { get; set; } = 0.002;
    public double Late { get; set; } = 0.002;

    public bool Reaches(NodeName from, NodeName to) => !IsCut(from, to);
    public bool IsCut(NodeName from, NodeName to) => cuts.GetValueOrDefault((from, to)) > 0;
    public void Cut(NodeName from, NodeName to) => cuts[(from, to)] = cuts.GetValueOrDefault((from, to)) + 1;
    public void Heal(NodeName from, NodeName to)
    {
        if (cuts.GetValueOrDefault((from, to)) is var count and > 0) cuts[(from, to)] = count - 1;
    }

    public bool AnyCut => cuts.Values.Any(count => count > 0);
    public void HealAll() => cuts.Clear();

    public void Send(NodeName from, NodeName to, Action deliver)
    {
        if (IsCut(from, to) || chance.Happens(Loss)) return;
        var copies = chance.Happens(0.005) ? 2 : 1;
        for (var i = 0; i < copies; i++)
            time.After(chance.Happens(Late) ? chance.Milliseconds(1, 400) : 50_000 + chance.Around(0.4), deliver);
    }
}

using System.Net;
using BenchmarkDotNet.Attributes;
using Evenkeel.Core.Model;
using Evenkeel.Core.Placement;

namespace Evenkeel.Benchmarks;

/// <summary>Placing 1,000 services of three instances each on 100 nodes; the goal is under 10 ms.</summary>
[MemoryDiagnoser]
public class PlacementBenchmark
{
    private readonly List<ServiceSpec> services = [.. Enumerable.Range(0, 1000).Select(i => new ServiceSpec
    {
        Name = $"s{i:0000}",
        Redundancy = Redundancy.Hot,
        Activity = Activity.Spread,
        Instances = 3,
        Driver = new ProcessDriverSpec { Command = ["x"] },
        Needs = new Dictionary<string, double> { ["memory"] = 1 + i % 4, ["cores"] = 0.5 },
        Placement = i % 10 == 3 ? new PlacementSpec { Apart = [$"s{i - 1:0000}"] } : new PlacementSpec(),
    })];
    private readonly Dictionary<string, IReadOnlyList<NodeName>> before = [];

    [GlobalSetup]
    public void Setup()
    {
        var placer = Fresh(lost: -1);
        foreach (var service in services) placer.Fill(service, [], 3);
        foreach (var service in services) before[service.Name] = placer.Where(service.Name);
    }

    /// <summary>Nothing runs yet.</summary>
    [Benchmark]
    public int FirstPlacement()
    {
        var placer = Fresh(lost: -1);
        foreach (var service in services) placer.Fill(service, [], 3);
        return placer.Where("s0999").Count;
    }

    /// <summary>Everything stands; one node is lost.</summary>
    [Benchmark]
    public int AfterTheLossOfOneNode()
    {
        var placer = Fresh(lost: 7);
        foreach (var service in services) placer.Keep(service, before[service.Name], 3);
        foreach (var service in services) placer.Fill(service, before[service.Name], 3);
        return placer.Where("s0999").Count;
    }

    private Placer Fresh(int lost) => new(Enumerable.Range(0, 100).Select(i => new NodeRoom(new NodeSpec
    {
        Name = new($"n{i:00}"),
        Private = [IPAddress.Loopback],
        Capacity = new Dictionary<string, double> { ["memory"] = 128, ["cores"] = 32 },
    }, i == lost ? Availability.Lost : Availability.Open)), services);
}

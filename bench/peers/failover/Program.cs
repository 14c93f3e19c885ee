using System.Globalization;
using Evenkeel.Agent.Local;
using Evenkeel.Core.Model;
using Evenkeel.EndToEnd.Lab;
using Evenkeel.FailoverBench;

var rounds = args.Length > 0 ? int.Parse(args[0], CultureInfo.InvariantCulture) : 5;
ISystem[] all = [new EvenkeelSystem(), new KeepalivedSystem(1, "ka1"), new KeepalivedSystem(0.1, "ka01")];
List<ISystem> systems = [.. all.Where(system => args.Length < 2 || system.Name.Contains(args[1], StringComparison.OrdinalIgnoreCase))];
List<Fault> faults =
[
    new("owner killed", HitsOwner: true, Kill),
    new("owner silently cut", HitsOwner: true, Cut),
    new("backend node killed", HitsOwner: false, Kill),
    new("backend node silently cut", HitsOwner: false, Cut),
    new("backend stopped (SIGSTOP)", HitsOwner: false, StopService),
    new("owner's processes all stopped (SIGSTOP)", HitsOwner: true, StopAll),
    new("backend node's processes all stopped (SIGSTOP)", HitsOwner: false, StopAll),
];
faults.RemoveAll(fault => args.Length > 2 && !fault.Name.Contains(args[2], StringComparison.OrdinalIgnoreCase));
var results = new Dictionary<(string System, string Fault), List<Result>>();
try
{
    foreach (var system in systems)
    {
        await system.StartAsync();
    }

    for (var round = 1; round <= rounds; round++)
    {
        foreach (var fault in faults)
        {
            foreach (var system in systems)
            {
                Console.Error.WriteLine($"round {round} of {rounds}: {system.Name}, {fault.Name}");
                await WholeAsync(system);
                var result = await MeasureAsync(system, fault);
                if (!results.TryGetValue((system.Name, fault.Name), out var list))
                {
                    results[(system.Name, fault.Name)] = list = [];
                }

                list.Add(result);
            }
        }
    }
}
finally
{
    foreach (var system in systems)
    {
        if (system is EvenkeelSystem evenkeel && Environment.GetEnvironmentVariable("EVENKEEL_LAB_LOGS") is { Length: > 0 } keep)
        {
            evenkeel.CopyLogs(keep);
        }

        await system.DisposeAsync();
    }
}

Console.WriteLine("| fault | system | outage ms (min/median/max) | failed requests (median/max) | two holders seen |");
Console.WriteLine("| --- | --- | --- | --- | --- |");
foreach (var fault in faults)
{
    foreach (var system in systems)
    {
        var list = results[(system.Name, fault.Name)];
        var outages = list.Select(result => result.Outage).Order().ToList();
        var failed = list.Select(result => result.Failed).Order().ToList();
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"| {fault.Name} | {system.Name} | {outages[0]:0}/{outages[outages.Count / 2]:0}/{outages[^1]:0} | {failed[failed.Count / 2]}/{failed[^1]} | {list.Count(result => result.TwoHolders)} of {list.Count} |"));
    }
}

return 0;

static async Task WholeAsync(ISystem system)
{
    using var observerless = new CancellationTokenSource(TimeSpan.FromSeconds(120));
    await system.WholeAsync().WaitAsync(observerless.Token);
}

static async Task<Result> MeasureAsync(ISystem system, Fault fault)
{
    // Without somebody to ask for it, a keepalived that was just healed may still move; the state now is the one that counts.
    var owner = (await Holders.OfAsync(system)).Single();
    var hit = fault.HitsOwner ? owner : system.Nodes.First(node => node != owner);
    using var observer = await Observer.StartAsync(system.Network.Namespace("client"), $"{Holders.Vip}:80");
    await Task.Delay(1500);
    await fault.Hit(system, hit);
    var two = false;
    var until = DateTime.UtcNow + TimeSpan.FromSeconds(fault.HitsOwner ? 5 : 3);
    while (DateTime.UtcNow < until)
    {
        two |= (await Holders.OfAsync(system)).Count > 1;
        await Task.Delay(20);
    }

    foreach (var link in Enum.GetValues<LabLink>())
    {
        await system.Network.HealAsync(hit, link, CancellationToken.None);
    }

    foreach (var process in await LabNetwork.ProcessesIn(system.Network.Namespace(hit.Value)))
    {
        Signals.Send(process, Signals.Continue);
    }

    system.BringBack(hit);
    await WholeAsync(system);
    // A second outage on heal counts too.
    await Task.Delay(1000);
    var seen = await observer.EndAsync();
    return new Result(seen.LongestOutage, seen.Failed.Count, two);
}

static async Task Kill(ISystem system, NodeName node)
{
    system.Kill(node);
    // A node without power has no addresses either; the namespace's kernel lives on.
    try
    {
        await SystemCommand.RunAsync(["ip", "-n", system.Network.Namespace(node.Value), "addr", "del", $"{Holders.Vip}/24", "dev", LabNetwork.PublicInterface], CancellationToken.None);
    }
    catch (LocalClusterException)
    {
        // It did not hold the address.
    }
}

static async Task Cut(ISystem system, NodeName node)
{
    foreach (var link in Enum.GetValues<LabLink>())
    {
        await system.Network.SilentCutAsync(node, link, oneWay: false, deaf: false, CancellationToken.None);
    }
}

static async Task StopService(ISystem system, NodeName node)
{
    foreach (var process in await LabNetwork.ProcessesIn(system.Network.Namespace(node.Value)))
    {
        if ((await File.ReadAllTextAsync($"/proc/{process}/cmdline")).Split('\0')[0].EndsWith("/web", StringComparison.Ordinal))
        {
            Signals.Send(process, Signals.Stop);
        }
    }
}

// As a machine that hangs, whose kernel still answers.
static async Task StopAll(ISystem system, NodeName node)
{
    foreach (var process in await LabNetwork.ProcessesIn(system.Network.Namespace(node.Value)))
    {
        Signals.Send(process, Signals.Stop);
    }
}

internal sealed record Fault(string Name, bool HitsOwner, Func<ISystem, NodeName, Task> Hit);

internal sealed record Result(double Outage, int Failed, bool TwoHolders);

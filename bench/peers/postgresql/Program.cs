using System.Globalization;
using Evenkeel.Agent.Local;
using Evenkeel.Core.Model;
using Evenkeel.EndToEnd.PostgreSql;
using Evenkeel.PostgreSqlBench;
using Evenkeel.Services.Ledger;

var rounds = args.Length > 0 ? int.Parse(args[0], CultureInfo.InvariantCulture) : 3;
var wanted = args.Length > 1 ? args[1] : "";
List<ISystem> systems = [];
if ("Evenkeel".Contains(wanted, StringComparison.OrdinalIgnoreCase))
{
    systems.Add(new EvenkeelSystem());
}

if ("Patroni".Contains(wanted, StringComparison.OrdinalIgnoreCase))
{
    systems.Add(new PatroniSystem(ttl: 7, loopWait: 1, retryTimeout: 3, "patroni"));
}

List<Fault> faults =
[
    new("server killed", async (system, node) => Signals.Send(await Postmaster.OfAsync(system, node), Signals.Kill)),
    new("node without power", (system, node) =>
    {
        system.Kill(node);
        return Task.CompletedTask;
    }),
    // Its clients still reach it.
    new("silently cut from its peers", (system, node) => system.Network.SilentCutAsync(node, LabLink.Private, oneWay: false, deaf: false, CancellationToken.None)),
    new("role moved by an operator", (system, node) => system.SwitchoverAsync(node)),
    // What is killed is found by the guard or by Patroni; what is stopped answers nobody and ends nowhere.
    new("server stopped (SIGSTOP)", async (system, node) =>
    {
        foreach (var id in await Postmaster.AllOfAsync(system, node))
        {
            Signals.Send(id, Signals.Stop);
        }
    }),
];
faults.RemoveAll(fault => args.Length > 2 && !fault.Name.Contains(args[2], StringComparison.OrdinalIgnoreCase));
var until = DateTime.UtcNow + TimeSpan.FromSeconds(args.Length > 3 ? double.Parse(args[3], CultureInfo.InvariantCulture) : 3600);
// Not whole again three minutes after a fault: what comes then would be measured on a cluster that lacks a node.
HashSet<ISystem> broken = [];
var results = new Dictionary<(string System, string Fault), List<LedgerVerdict>>();
try
{
    foreach (var system in systems)
    {
        await system.StartAsync();
    }

    foreach (var fault in faults)
    {
        for (var round = 1; round <= rounds; round++)
        {
            foreach (var system in systems)
            {
                if (DateTime.UtcNow > until || broken.Contains(system))
                {
                    continue;
                }

                if (!await WholeAsync(system))
                {
                    throw new InvalidOperationException($"{system.Name} does not become whole");
                }

                var (verdict, whole) = await MeasureAsync(system, fault);
                if (!whole)
                {
                    Console.Error.WriteLine($"{system.Name} is not whole again three minutes after: {fault.Name}. It takes no further part.");
                    broken.Add(system);
                }

                Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture,
                    $"round {round} of {rounds}: {system.Name}, {fault.Name}: nobody could write for {verdict.LongestUnwritable.TotalMilliseconds:0} ms, a client waited {verdict.LongestOutage.TotalMilliseconds:0} ms, {verdict.Lost.Count} of {verdict.Acknowledged} lost"));
                if (!results.TryGetValue((system.Name, fault.Name), out var list))
                {
                    results[(system.Name, fault.Name)] = list = [];
                }

                list.Add(verdict);
            }
        }
    }
}
finally
{
    foreach (var system in systems)
    {
        await system.DisposeAsync();
    }
}

Console.WriteLine("| the primary's | system | nobody could write, ms (min/median/max) | longest wait of a kept connection, ms | acknowledged writes lost |");
Console.WriteLine("| --- | --- | --- | --- | --- |");
foreach (var fault in faults)
{
    foreach (var system in systems)
    {
        if (!results.TryGetValue((system.Name, fault.Name), out var list))
        {
            continue;
        }

        string Of(Func<LedgerVerdict, TimeSpan> outage)
        {
            var outages = list.Select(verdict => outage(verdict).TotalMilliseconds).Order().ToList();
            return string.Create(CultureInfo.InvariantCulture, $"{outages[0]:0}/{outages[outages.Count / 2]:0}/{outages[^1]:0}");
        }

        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"| {fault.Name} | {system.Name} | {Of(verdict => verdict.LongestUnwritable)} | {Of(verdict => verdict.LongestOutage)} | {list.Sum(verdict => verdict.Lost.Count)} of {list.Sum(verdict => verdict.Acknowledged)} |"));
    }
}

return 0;

static async Task<bool> WholeAsync(ISystem system)
{
    var until = DateTime.UtcNow + TimeSpan.FromSeconds(180);
    while (!await system.IsWholeAsync())
    {
        if (DateTime.UtcNow > until)
        {
            return false;
        }

        await Task.Delay(200);
    }

    return true;
}

static async Task<(LedgerVerdict Verdict, bool Whole)> MeasureAsync(ISystem system, Fault fault)
{
    var longest = CancellationToken.None;
    using var clients = await LedgerClient.StartAsync(system.Network.Namespace("client"), system.Address, 5432, longest);
    await Task.Delay(1000);
    var primary = await system.PrimaryAsync() ?? throw new InvalidOperationException($"{system.Name} has no primary");
    await fault.HitAsync(system, primary);
    // Another primary, or the same again; a cut-off one cannot say how it is, and its peers wait for it to be over.
    var until = DateTime.UtcNow + TimeSpan.FromSeconds(20);
    await Task.Delay(1500);
    while (DateTime.UtcNow < until && (await system.PrimaryAsync() is not { } now || (fault.Name != "server killed" && now == primary)))
    {
        await Task.Delay(200);
    }

    await Task.Delay(1500);
    await system.Network.HealAsync(primary, LabLink.Private, CancellationToken.None);
    foreach (var id in await LabNetwork.ProcessesIn(system.Network.Namespace(primary.Value)))
    {
        Signals.Send(id, Signals.Continue);
    }

    system.BringBack(primary);
    var whole = await WholeAsync(system);
    await Task.Delay(1000);
    return (await clients.EndAsync(longest), whole);
}

internal sealed record Fault(string Name, Func<ISystem, NodeName, Task> HitAsync);

internal static class Postmaster
{
    public static async Task<int> OfAsync(ISystem system, NodeName node) => (await AllOfAsync(system, node))[0];

    /// <summary>All of its processes, the main one first.</summary>
    public static async Task<IReadOnlyList<int>> AllOfAsync(ISystem system, NodeName node)
    {
        List<int> found = [];
        var main = false;
        foreach (var id in await LabNetwork.ProcessesIn(system.Network.Namespace(node.Value)))
        {
            try
            {
                var words = (await File.ReadAllTextAsync($"/proc/{id}/cmdline")).Split('\0');
                if (words[0].EndsWith("/postgres", StringComparison.Ordinal) && words.Contains("-D"))
                {
                    found.Insert(0, id);
                    main = true;
                }
                else if (words[0].StartsWith("postgres: ", StringComparison.Ordinal))
                {
                    found.Add(id);
                }
            }
            catch (IOException)
            {
                // It ended while we looked.
            }
        }

        return main ? found : throw new InvalidOperationException($"no PostgreSQL runs on {node} of {system.Name}");
    }
}

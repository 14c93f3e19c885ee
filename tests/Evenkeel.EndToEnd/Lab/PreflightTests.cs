using System.Diagnostics;
using System.Text.Json;
using Evenkeel.Agent.Local;
using Evenkeel.Cli;
using Xunit;

namespace Evenkeel.EndToEnd.Lab;

/// <summary>The preflight of three bare servers, each with a real fault put in its way.</summary>
[Trait("needs", "root")]
[Trait("Machine", "shared"), Trait("Turn", "1")]
public sealed class PreflightTests : IAsyncLifetime
{
    private const string Cluster = "preflight";
    private Servers servers = null!;
    // This machine's disk is shared with whatever else runs on it: only one test is about it.
    private string[] lenient = ["--accept", "disk"];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => servers = await Servers.StartAsync(Cluster);

    public ValueTask DisposeAsync() => servers.DisposeAsync();

    [Fact]
    public async Task ServerThatIsAsTheFileSays_Passes()
    {
        var report = Read(await LookAsync("n2"));
        Assert.Equal(["n2"], report.GetProperty("nodes").EnumerateArray().Select(node => node.GetString()));
        Assert.DoesNotContain(Findings(report), finding => finding is { Verdict: "Failed", Accepted: false });
        Expect(report, "Passed", "addresses", "private address 10.77.0.12 is on priv0");
        Expect(report, "Passed", "networks-apart", "public on pub0, private on priv0");
        Expect(report, "Passed", "address-conflict", "203.0.113.10 (front) is free");
        Expect(report, "Passed", "reachable", "n1 answers at 10.77.0.11");
        Expect(report, "Passed", "ports", "ports are free");
        Assert.Contains(Findings(report), finding => finding.Check == "disk" && finding.What.Contains("a durable write takes", StringComparison.Ordinal));
        Expect(report, "Passed", "etcd", "is etcd 3.");
        Expect(report, "Passed", "programs", "what web runs is here");
        Expect(report, "Note", "fencing", "no fence device for n1, n3");
    }

    [Fact]
    public async Task VirtualIp_InUse_IsNamedWithWhoHasIt()
    {
        await IpAsync("client", "address", "add", "203.0.113.10/24", "dev", "pub0");
        var stranger = (await SystemCommand.RunAsync(["ip", "-n", servers.Namespace("client"), "-brief", "link", "show", "pub0"], Token)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[2];
        Expect(Read(await LookAsync("n1"), failed: true), "Failed", "address-conflict", $"203.0.113.10 (front) is in use already, by {stranger}, no node of this cluster");
        await IpAsync("client", "address", "del", "203.0.113.10/24", "dev", "pub0");

        await IpAsync("n2", "address", "add", "203.0.113.10/24", "dev", "pub0");
        Expect(Read(await LookAsync("n1"), failed: true), "Failed", "address-conflict", "in use already, by n2");
        Expect(Read(await LookAsync("n2"), failed: true), "Failed", "address-conflict", "is configured on this server's pub0");
    }

    [Fact]
    public async Task VirtualIp_OfIpv6_InUse_IsFoundByNeighbourDiscovery()
    {
        var source = (await File.ReadAllTextAsync(servers.ClusterFilePath, Token)).Replace("public: 203.0.113.0/24", "public: [203.0.113.0/24, \"2001:db8:77::/64\"]", StringComparison.Ordinal)
            .Replace("front: 203.0.113.10", "front: 203.0.113.10\n  front6: \"2001:db8:77::10\"", StringComparison.Ordinal);
        foreach (var number in new[] { 11, 12, 13 }) source = source.Replace($"public: 203.0.113.{number},", $"public: [203.0.113.{number}, \"2001:db8:77::{number}\"],", StringComparison.Ordinal);
        await File.WriteAllTextAsync(servers.ClusterFilePath, source, Token);
        foreach (var (node, number) in new[] { ("n1", 11), ("n2", 12) }) await IpAsync(node, "address", "add", $"2001:db8:77::{number}/64", "dev", "pub0", "nodad");
        Expect(Read(await LookAsync("n1")), "Passed", "address-conflict", "2001:db8:77::10 (front6) is free");
        await IpAsync("client", "address", "add", "2001:db8:77::10/64", "dev", "pub0", "nodad");
        Expect(Read(await LookAsync("n1"), failed: true), "Failed", "address-conflict", "2001:db8:77::10 (front6) is in use already");
    }

    [Fact]
    public async Task OwnAddress_OnAnotherMachineToo_IsNamed()
    {
        await IpAsync("n3", "address", "add", "10.77.0.11/24", "dev", "priv0");
        Expect(Read(await LookAsync("n1"), failed: true), "Failed", "address-conflict", "10.77.0.11 is this node's, and");
    }

    [Fact]
    public async Task Networks_OnOneInterface_Fail_UnlessAccepted()
    {
        await IpAsync("n1", "address", "del", "10.77.0.11/24", "dev", "priv0");
        await IpAsync("n1", "address", "add", "10.77.0.11/24", "dev", "pub0");
        Expect(Read(await LookAsync("n1"), failed: true), "Failed", "networks-apart", "pub0 carries both the public and the private connection");
        var accepted = Read(await LookAsync("n1", "--accept", "networks-apart", "--accept", "reachable"));
        Assert.True(Findings(accepted).Single(finding => finding.Check == "networks-apart").Accepted);
    }

    [Fact]
    public async Task Networks_OnOneSegment_AreFoundByTheHardwareAddress()
    {
        // Somebody has plugged the private switch into the public one.
        foreach (var command in new[] { "link add cable0 type veth peer name cable1", "link set cable0 master pub up", "link set cable1 master priv0 up" }) await IpAsync("switch", command.Split(' '));
        Expect(Read(await LookAsync("n1"), failed: true), "Failed", "networks-apart", "answers on pub0 (public) too: both networks are one segment");
    }

    [Fact]
    public async Task Bridge_ThatCarriesBoth_IsAWarning()
    {
        await IpAsync("n1", "link", "add", "br0", "type", "bridge");
        foreach (var port in new[] { "pub0", "priv0" }) await IpAsync("n1", "link", "set", port, "master", "br0");
        Expect(Read(await LookAsync("n1")), "Warning", "networks-apart", "pub0 (public) and priv0 (private) both run over br0");
    }

    [Fact]
    public async Task Port_TakenByAnotherEtcd_IsNamedWithTheMend()
    {
        var data = Directory.CreateDirectory(Path.Combine(servers.Directory, "foreign")).FullName;
        using var etcd = Process.Start(new ProcessStartInfo("nsenter", [$"--net=/run/netns/{servers.Namespace("n1")}", "etcd", "--data-dir", data, "--listen-client-urls", "http://10.77.0.11:2379", "--advertise-client-urls", "http://10.77.0.11:2379", "--listen-peer-urls", "http://127.0.0.1:2380"])
        { RedirectStandardError = true, RedirectStandardOutput = true })!;
        etcd.ErrorDataReceived += (_, _) => { };
        etcd.OutputDataReceived += (_, _) => { };
        etcd.BeginErrorReadLine();
        etcd.BeginOutputReadLine();
        try
        {
            for (var limit = Stopwatch.StartNew(); (await servers.RunProgramAsync("n1", "ss", "-Hlnt", "sport = :2379")).Output.Length == 0; await Task.Delay(50, Token))
                Assert.True(limit.Elapsed < TimeSpan.FromSeconds(20), "the foreign etcd never listened");
            var finding = Expect(Read(await LookAsync("n1"), failed: true), "Failed", "ports", "10.77.0.11:2379, for etcd, cannot be listened on");
            Assert.Contains("systemctl disable --now etcd", finding.Mend, StringComparison.Ordinal);
        }
        finally { etcd.Kill(entireProcessTree: true); }
    }

    [Fact]
    public async Task FenceDevice_Dead_FailsWhereItsNodeWouldBeCutOffFrom()
    {
        var (dead, alive) = (await AgentAsync("dead", "echo 'no route to the power switch' >&2; exit 1"), await AgentAsync("alive", "exit 0"));
        var source = await File.ReadAllTextAsync(servers.ClusterFilePath, Token);
        source = With(With(source, "n2", dead), "n3", alive);
        await File.WriteAllTextAsync(servers.ClusterFilePath, source, Token);
        var report = Read(await LookAsync("n1"), failed: true);
        Expect(report, "Failed", "fencing", "n2 could not be cut off from here");
        Expect(report, "Failed", "fencing", "no route to the power switch");
        Expect(report, "Passed", "fencing", "n3's fence device answers");
        // A node's own device is the others' business.
        Assert.DoesNotContain(Findings(Read(await LookAsync("n2"))), finding => finding.What.Contains("n2 could not", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("net_admin", "Failed", "nf_tables cannot be used")]
    [InlineData("net_raw", "Failed", "no packets of its own may be sent")]
    [InlineData("sys_nice", "Warning", "no real-time priority")]
    [InlineData("ipc_lock", "Warning", "memory cannot be locked (the limit is 64 KiB)")]
    public async Task KernelFeature_ThatMayNotBeUsed_IsNamed(string capability, string verdict, string what)
    {
        var (code, output) = await servers.RunProgramAsync("n1", "sh", "-c", "ulimit -l 64; ulimit -r 0; exec setpriv --bounding-set \"-$1\" --inh-caps \"-$1\" \"$0\" preflight \"$2\" --node n1 --state \"$3\" --output json --accept disk 2>/dev/null",
            Checkout.Program, capability, servers.ClusterFilePath, servers.State("n1"));
        Expect(Read((code, output), failed: verdict == "Failed"), verdict, "kernel", what);
    }

    [Fact]
    public async Task Disk_InMemoryAndSmall_IsNamed()
    {
        lenient = [];
        await servers.MountAsync("n1", "size=64m");
        var report = Read(await LookAsync("n1"), failed: true);
        Expect(report, "Warning", "disk", "is a tmpfs");
        Expect(report, "Failed", "disk", "MiB of room");
    }

    [Fact]
    public async Task Disk_SlowToMakeAWriteDurable_IsNamedWithItsTimes()
    {
        lenient = [];
        await using var disk = await SlowDisk.MountAsync(Path.Combine(servers.Directory, "n1"), TimeSpan.FromMilliseconds(90), Token);
        var finding = Expect(Read(await LookAsync("n1"), failed: true), "Failed", "disk", "longer than the 150 ms after which a node counts as lost");
        Assert.Matches(@"a durable write takes \S+ ms \(median\), \d{3,}\S* ms \(99 %\)", finding.What);
        Assert.Contains("SSD", finding.Mend, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("1.03", "1", true)]
    [InlineData("0.97", "1", true)]
    // Both alike is nothing that a server could see by itself.
    [InlineData("1.03", "1.03", false)]
    public async Task Clock_CorrectedFasterThanLeasesAllow_IsNamed(string boot, string raw, bool fails)
    {
        using var program = await OffBeatProgram.MakeAsync(Token);
        var report = Read(await servers.RunProgramAsync("n1", "sh", "-c", "exec env BOOT_RATE=$1 RAW_RATE=$2 \"$0\" preflight \"$3\" --node n1 --state \"$4\" --output json --accept disk 2>/dev/null",
            program.File, boot, raw, servers.ClusterFilePath, servers.State("n1")), fails);
        if (fails)
        {
            var finding = Expect(report, "Failed", "clock", "is being corrected by");
            Assert.Matches(boot == "1.03" ? @"by (2\.9|3)\S* % at this moment" : @"by -(2\.9|3)\S* % at this moment", finding.What);
            Assert.Contains("chronyc tracking", finding.Mend, StringComparison.Ordinal);
        }
        else Assert.DoesNotContain(Findings(report), finding => finding is { Check: "clock", Verdict: "Failed" });
    }

    [Trait("Stage", "long")]
    [Fact]
    public async Task ClocksOfARunningCluster_OffAndOfAnotherRate_AreNamedWithTheirNode()
    {
        using var program = await OffBeatProgram.MakeAsync(Token);
        var n3 = Path.Combine(servers.Directory, "n3-agent");
        await File.WriteAllTextAsync(n3, $"""
            #!/bin/sh
            export BOOT_RATE=1.03 RAW_RATE=1.03 FAKETIME_DONT_FAKE_MONOTONIC=1 FAKETIME=+5h LD_PRELOAD='/usr/$LIB/faketime/libfaketime.so.1'
            exec {program.File} "$@"
            """, Token);
        File.SetUnixFileMode(n3, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        await servers.InitAllAsync();
        servers.StartAgent("n1");
        servers.StartAgent("n2");
        servers.StartAgent("n3", n3);
        foreach (var node in (string[])["n1", "n2", "n3"]) await servers.SaysAsync(node, "is up");
        JsonElement report = default;
        // Whether the cluster is whole with such a node is not the question here: it must answer.
        for (var limit = Stopwatch.StartNew(); report.ValueKind == JsonValueKind.Undefined || Findings(report).All(finding => (finding.Check, finding.Node) != ("clock-rate", "n3"));)
        {
            Assert.True(limit.Elapsed < TimeSpan.FromMinutes(2), $"n3's clocks were never compared: {(report.ValueKind == JsonValueKind.Undefined ? servers.Log("n1") : string.Join("\n", Findings(report)))}");
            var said = await servers.RunProgramAsync("n1", "sh", "-c", "exec \"$0\" preflight --cluster \"$1\" --output json 2>/dev/null", Checkout.Program, LocalPaths.ControlSocket(Cluster, "n1"));
            if (said.Output.Contains('{', StringComparison.Ordinal)) report = Read(said, failed: said.Code != 0);
        }

        Assert.Contains("chrony", Expect(report, "Failed", "clock-offset", "ahead of n1's", "n3").Mend, StringComparison.Ordinal);
        Assert.Matches(@"n3's clock runs (2\.[5-9]|3\.)\S* % faster than n1's \(to .*\); leases allow 1 %", Expect(report, "Failed", "clock-rate", "faster than n1's", "n3").What);
        Expect(report, "Passed", "clock-offset", "n2's clock is", "n2");
        Expect(report, "Passed", "clock-rate", "leases allow 1 %", "n2");
    }

    [Fact]
    public async Task Words_ForPeople_SayVerdictAndMend_AndWrongWordsAreRefused()
    {
        await IpAsync("client", "address", "add", "203.0.113.10/24", "dev", "pub0");
        Servers.Expect(ExitCode.Failed, await servers.RunAsync("n1", "preflight", servers.ClusterFilePath, "--state", servers.State("n1")),
            $"{Cluster} (n1):", "failed", "address-conflict", "do: Find that machine by its hardware address");
        Servers.Expect(ExitCode.Usage, await servers.RunAsync("client", "preflight", servers.ClusterFilePath), "of no node of the file", "--node n1|n2|n3");
        Servers.Expect(ExitCode.Usage, await servers.RunAsync("n1", "preflight", servers.ClusterFilePath, "--node", "n9"), "the file has no node 'n9'");
    }

    private Task<(int Code, string Output)> LookAsync(string node, params string[] more) => servers.RunProgramAsync(node, "sh", ["-c", "exec \"$0\" \"$@\" 2>/dev/null",
        Checkout.Program, "preflight", servers.ClusterFilePath, "--state", servers.State(node), "--node", node, "--output", "json", .. lenient, .. more]);

    private async Task<string> AgentAsync(string name, string body)
    {
        var file = Path.Combine(servers.Directory, name);
        await File.WriteAllTextAsync(file, $"#!/bin/sh\ncat >/dev/null\n{body}\n", Token);
        File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        return file;
    }

    private static string With(string source, string node, string agent) =>
        System.Text.RegularExpressions.Regex.Replace(source, $@"({node}: *\{{)", $"$1 fence: {{ agent: {agent} }},");

    private Task<string> IpAsync(string where, params string[] words) => SystemCommand.RunAsync(["ip", "-n", servers.Namespace(where), .. words], Token);

    internal static JsonElement Read((int Code, string Output) said, bool failed = false)
    {
        Assert.True(said.Code == (failed ? ExitCode.Failed : 0), $"ended with {said.Code}: {said.Output}");
        return JsonDocument.Parse(said.Output[said.Output.IndexOf('{', StringComparison.Ordinal)..]).RootElement;
    }

    internal static IReadOnlyList<Found> Findings(JsonElement report) => [.. report.GetProperty("findings").EnumerateArray().Select(finding => new Found(
        finding.GetProperty("verdict").GetString()!, finding.GetProperty("check").GetString()!, finding.GetProperty("node").GetString()!, finding.GetProperty("what").GetString()!,
        finding.TryGetProperty("mend", out var mend) ? mend.GetString() ?? "" : "", finding.TryGetProperty("accepted", out var accepted) && accepted.GetBoolean()))];

    internal static Found Expect(JsonElement report, string verdict, string check, string what, string? node = null)
    {
        var found = Findings(report).FirstOrDefault(finding => finding.Verdict == verdict && finding.Check == check && finding.What.Contains(what, StringComparison.Ordinal) && (node is null || finding.Node == node));
        Assert.True(found is not null, $"no {verdict} {check} says '{what}': {string.Join("\n", Findings(report))}");
        return found;
    }

    internal sealed record Found(string Verdict, string Check, string Node, string What, string Mend, bool Accepted);
}

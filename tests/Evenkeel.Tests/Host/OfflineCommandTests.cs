using System.Net;
using System.Net.Sockets;
using Evenkeel.Agent.Api;
using Evenkeel.Agent.Enrolment;
using Evenkeel.Agent.Host;
using Evenkeel.Agent.Host.Audit;
using Evenkeel.Agent.Setup;
using Evenkeel.Cli;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Evenkeel.PrivateConnection.Certificates;
using Evenkeel.Tests.Store;
using Xunit;

namespace Evenkeel.Tests.Host;

/// <summary>Commands that work without the agent leave their entry, and believe nobody blindly; refusals name the right reason.</summary>
public sealed class OfflineCommandTests : IDisposable
{
    private readonly DirectoryInfo _place = TestDirectory.InMemory("evenkeel-offline-");

    private AgentConfiguration Configuration => new()
    {
        Cluster = "shop", Node = new NodeName("n1"), StateDirectory = _place.FullName, ControlSocket = Path.Combine(_place.FullName, "none.sock"), GuardSocket = "", Private = ["127.0.0.1"],
        Store = StoreKind.Etcd, StoreEndpoints = [], StoreMembers = new Dictionary<string, string> { ["n1"] = "127.78.0.1", ["n2"] = "127.78.0.2" }, WorkingDirectory = "/",
    };

    public void Dispose() => _place.Delete(recursive: true);

    [Fact]
    public void CaRecreate_IsOnTheNodesTrail_WithItsUser()
    {
        Configuration.Save(Path.Combine(_place.FullName, "agent.json"));
        Assert.Equal(ExitCode.Success, CommandLine.Run(["ca", "recreate", "--yes", "--state", _place.FullName], TextWriter.Null, TextWriter.Null));
        var entry = Assert.Single(new AuditTrail(Path.Combine(_place.FullName, "audit.jsonl"), _ => { }).Last(9));
        Assert.StartsWith("ca recreate: sha256:", entry.What, StringComparison.Ordinal);
        Assert.Equal((new NodeName("n1"), Environment.ProcessId, "done"), (entry.Node, entry.Process, entry.Outcome));
        Assert.NotEmpty(entry.Name);
    }

    [Fact]
    public async Task OthersProbe_OneAnswers_IsRefusedWithItsAddress_SilenceIsBelieved()
    {
        await OthersProbe.ExpectSilenceAsync(Configuration, TestContext.Current.CancellationToken);
        using var other = new TcpListener(IPAddress.Parse("127.78.0.2"), PrivatePorts.EtcdPeer);
        other.Start();
        var refused = await Assert.ThrowsAsync<SetupRefusedException>(() => OthersProbe.ExpectSilenceAsync(Configuration, TestContext.Current.CancellationToken));
        Assert.Contains("n2 is not off: it answers at 127.78.0.2:2380", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Find_BeforeTheStoreAnswered_IsNotAnUnknownToken() =>
        Assert.Throws<StoreUnavailableException>(() => new ApiTokens(null!, "shop", TimeProvider.System).Find("evk_0000000000000000000000000000000000000000"));

    [Fact]
    public void Remove_WithoutAMember_SaysWhy()
    {
        Assert.Contains("does not vote", NodeRemoval.WhyNoMembers(Configuration)!.Message, StringComparison.Ordinal);
        Assert.Contains("on one machine", NodeRemoval.WhyNoMembers(Configuration with { Store = StoreKind.Remote })!.Message, StringComparison.Ordinal);
        Assert.Null(NodeRemoval.WhyNoMembers(Configuration with { Store = StoreKind.External }));
        Assert.Null(NodeLeave.WhyNothingToLeave(Configuration));
        Assert.Null(NodeLeave.WhyNothingToLeave(Configuration with { Store = StoreKind.External }));
        Assert.Contains("on one machine", NodeLeave.WhyNothingToLeave(Configuration with { Store = StoreKind.Remote })!.Message, StringComparison.Ordinal);
    }
}

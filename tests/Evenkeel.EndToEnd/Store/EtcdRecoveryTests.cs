using System.Text;
using Evenkeel.Agent.Configuration;
using Evenkeel.Agent.Host;
using Evenkeel.Agent.Setup;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Loop.Store;
using Evenkeel.Core.Model;
using Evenkeel.PrivateConnection.Store.Etcd;
using Xunit;

namespace Evenkeel.EndToEnd.Store;

/// <summary>A real etcd of three is lost but for one member, or but for a snapshot, and comes back as a new incarnation.</summary>
[Trait("Peer", "etcd")]
[Trait("Machine", "shared"), Trait("Turn", "2")]
public sealed class EtcdRecoveryTests : IAsyncLifetime
{
    private const string Source = """
        version: 1
        cluster: shop
        networks:
          public: 203.0.113.0/24
          private: 10.77.0.0/24
        nodes:
          n1: { public: 203.0.113.11, private: 10.77.0.11 }
          n2: { public: 203.0.113.12, private: 10.77.0.12 }
          n3: { public: 203.0.113.13, private: 10.77.0.13 }
        """;

    private readonly EtcdTrio trio = new();
    private readonly StateCodec codec = new("shop");
    private readonly List<string> told = [];
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        await trio.InitializeAsync();
        var read = ClusterFile.Parse(Source, "cluster.yaml");
        var spec = read.Spec ?? throw new InvalidOperationException(string.Join("; ", read.Diagnostics));
        await PutAsync(codec.PutIncarnation(1), codec.Put(spec));
        for (var i = 0; i < 3; i++) ConfigurationOf(i).Save(Path.Combine(trio.Members[i].StateDirectory, "agent.json"));
    }

    public ValueTask DisposeAsync() => trio.DisposeAsync();

    [Fact]
    public async Task FromLastMember_HasEveryLastWrite_AndTheOldMembersAreStrangersToIt()
    {
        for (var i = 0; i < 50; i++) await PutAsync(new Write($"k/{i:00}", Encoding.UTF8.GetBytes("kept")));
        await MemberHasAsync(0, "k/49");
        var refused = Assert.Throws<SetupRefusedException>(() => new StoreRecovery(ConfigurationOf(0), told.Add));
        Assert.Contains("runs", refused.Message, StringComparison.Ordinal);
        for (var i = 0; i < 3; i++) trio.Kill(i);

        Assert.Equal(2, await new StoreRecovery(ConfigurationOf(0), told.Add).FromLastMemberAsync(Cancel));
        for (var i = 0; i < 3; i++) trio.Start(i);
        await using var store = Alone(0);
        var state = await StateAsync(store);
        Assert.Equal((2, 3), (state.Incarnation, state.Spec!.Value.Value.Nodes.Count));
        Assert.Equal(50, (await store.ReadAsync("k/", Cancel)).Entries.Count);
        using var members = new EtcdMembership([new EtcdEndpoint(trio.Members[0].Clients)], trio.Certificates[0], _ => { });
        Assert.Equal("n1", Assert.Single(await members.ListAsync(Cancel)).Name);
        // What operators are warned of: the others, not off, are the old cluster still.
        await using var old = Alone(1);
        Assert.Equal(1, (await StateAsync(old)).Incarnation);
        Assert.Contains(Directory.GetDirectories(trio.Members[0].StateDirectory), directory => directory.Contains("etcd.before-", StringComparison.Ordinal));
        Assert.False(Directory.Exists(Path.Combine(trio.Members[0].StateDirectory, "etcd-recovery")));
    }

    [Fact]
    public async Task FromSnapshot_IsTheStateOfThen_EachTimeALaterIncarnation_AndADamagedOneChangesNothing()
    {
        var file = Path.Combine(trio.Members[1].StateDirectory, "kept.db");
        await PutAsync(new Write("k/before", Encoding.UTF8.GetBytes("1")));
        await MemberHasAsync(0, "k/before");
        await EtcdSnapshot.TakeAsync(new EtcdEndpoint(trio.Members[0].Clients), trio.Certificates[0], file, Cancel);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
        await PutAsync(new Write("k/later", Encoding.UTF8.GetBytes("1")));
        for (var i = 0; i < 3; i++) trio.Kill(i);

        var before = Contents(1);
        var damaged = file + ".damaged";
        var bytes = await File.ReadAllBytesAsync(file, Cancel);
        bytes[bytes.Length / 2] ^= 1;
        await File.WriteAllBytesAsync(damaged, bytes, Cancel);
        var refused = await Assert.ThrowsAsync<SetupRefusedException>(() => new StoreRecovery(ConfigurationOf(1), told.Add).FromSnapshotAsync(damaged, Cancel));
        Assert.Contains("SHA-256", refused.Message, StringComparison.Ordinal);
        Assert.Contains("nothing of the cluster 'other'", (await Assert.ThrowsAsync<SetupRefusedException>(() =>
            new StoreRecovery(ConfigurationOf(1) with { Cluster = "other" }, told.Add).FromSnapshotAsync(file, Cancel))).Message, StringComparison.Ordinal);
        Assert.Equal(before, Contents(1));

        Assert.Equal(2, await new StoreRecovery(ConfigurationOf(1), told.Add).FromSnapshotAsync(file, Cancel));
        Assert.Equal(3, await new StoreRecovery(ConfigurationOf(1), told.Add).FromSnapshotAsync(file, Cancel));
        trio.Start(1);
        await using var store = Alone(1);
        Assert.Equal(3, (await StateAsync(store)).Incarnation);
        Assert.Equal(["k/before"], (await store.ReadAsync("k/", Cancel)).Entries.Select(entry => entry.Key));
        Assert.Equal([], AgentConfiguration.Load(Path.Combine(trio.Members[1].StateDirectory, "agent.json")).StoreFounders);
    }

    private AgentConfiguration ConfigurationOf(int i) => new()
    {
        Cluster = "shop", Node = trio.Members[i].Node, StateDirectory = trio.Members[i].StateDirectory, ControlSocket = "/nowhere/agent.sock", GuardSocket = "", Private = [],
        Store = StoreKind.Etcd, StoreMembers = trio.Members.ToDictionary(member => member.Node.Value, member => member.Clients.Address.ToString()),
        StoreEndpoints = [], WorkingDirectory = "/",
    };

    private EtcdStore Alone(int i) => new("shop", [new EtcdEndpoint(trio.Members[i].Clients)], trio.Certificates[i], _ => { });

    private async Task PutAsync(params Write[] writes)
    {
        var transaction = new Transaction(Guid.NewGuid(), [], writes);
        while ((await trio.Open().CommitAsync(transaction, Cancel)).Outcome != CommitOutcome.Committed) { }
    }

    /// <summary>Read through the member itself: it has applied what came before.</summary>
    private async Task MemberHasAsync(int i, string key)
    {
        await using var store = Alone(i);
        Assert.Single((await store.ReadAsync(key, Cancel)).Entries);
    }

    private async Task<ClusterState> StateAsync(EtcdStore store)
    {
        for (var limit = DateTime.UtcNow.AddSeconds(30); ;)
        {
            try
            {
                return codec.Read(await store.ReadAsync(codec.Keys.Prefix, Cancel));
            }
            catch (StoreUnavailableException) when (DateTime.UtcNow < limit)
            {
                // It has just been started.
            }
        }
    }

    private Dictionary<string, string> Contents(int i) => Directory.GetFiles(trio.Members[i].StateDirectory, "*", SearchOption.AllDirectories)
        .Where(file => !file.EndsWith(".damaged", StringComparison.Ordinal))
        .ToDictionary(file => file, file => Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes(file))));
}

using System.Net;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.PrivateConnection.Store.Etcd;
using Xunit;

namespace Evenkeel.EndToEnd.Store;

/// <summary>A real etcd in a cgroup of its own: what it uses is counted there, who adopts it finds it there, and its end leaves nothing.</summary>
[Trait("Peer", "etcd")]
[Trait("needs", "root")]
public sealed class EtcdGroupTests : IDisposable
{
    private readonly DirectoryInfo directory = Directory.CreateTempSubdirectory("evenkeel-etcd-group-");
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => directory.Delete(recursive: true);

    private EtcdMember Member => new()
    {
        Node = new NodeName("n1"), StateDirectory = directory.FullName, OwnGroup = true,
        Clients = new PrivateEndpoint(IPAddress.Parse("127.63.0.1"), 2379),
        Peers = new Dictionary<NodeName, PrivateEndpoint> { [new("n1")] = new(IPAddress.Parse("127.63.0.1"), 2380) },
    };

    [Fact]
    public async Task Start_GroupIsItsOwn_ItsTimeIsCountedThere_AndTheNextAgentAdoptsItWithIt()
    {
        using var first = EtcdProcess.Start(Member);
        try
        {
            Assert.Null(first.GroupTrouble);
            var group = first.Group!;
            Assert.Equal([first.Id.ToString(System.Globalization.CultureInfo.InvariantCulture)], await File.ReadAllLinesAsync(Path.Combine(group, "cgroup.procs"), Cancel));
            await AnswersAsync();
            Assert.DoesNotContain("usage_usec 0\n", await File.ReadAllTextAsync(Path.Combine(group, "cpu.stat"), Cancel), StringComparison.Ordinal);

            using var second = EtcdProcess.Start(Member);
            Assert.Equal((true, first.Id, group), (second.Adopted, second.Id, second.Group));
        }
        finally
        {
            await first.StopAsync(TimeSpan.FromSeconds(10));
        }

        Assert.False(Directory.Exists(first.Group));
    }

    [Fact]
    public async Task Adopt_OneWithoutAGroup_GetsIt_AndAKillLeavesNothing()
    {
        using var before = EtcdProcess.Start(Member with { OwnGroup = false });
        try
        {
            using var adopted = EtcdProcess.Start(Member);
            Assert.True(adopted.Adopted);
            var group = adopted.Group!;
            // Whatever it began: a child here stands for it.
            using var child = System.Diagnostics.Process.Start("sleep", ["600"]);
            await File.WriteAllTextAsync(Path.Combine(group, "cgroup.procs"), child.Id.ToString(System.Globalization.CultureInfo.InvariantCulture), Cancel);
            adopted.Kill();
            await before.EndedAsync(TimeSpan.FromSeconds(10), Cancel);
            await child.WaitForExitAsync(Cancel).WaitAsync(TimeSpan.FromSeconds(10), Cancel);
            await adopted.EndGroupAsync();
            Assert.True(adopted.HasExited);
            Assert.False(Directory.Exists(group));
        }
        finally
        {
            before.Kill();
        }
    }

    private async Task AnswersAsync()
    {
        using var member = new EtcdMaintenance(new EtcdEndpoint(Member.Clients), null, Member.QuotaBytes, _ => { });
        for (var limit = DateTime.UtcNow.AddSeconds(30); ;)
        {
            try
            {
                _ = await member.SizeAsync(Cancel);
                return;
            }
            catch (Evenkeel.Core.Loop.Ports.StoreUnavailableException) when (DateTime.UtcNow < limit)
            {
                // Not yet.
            }
        }
    }
}

using System.Net;
using System.Security.Cryptography;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.PrivateConnection.Store.Etcd;
using Xunit;

namespace Evenkeel.Tests.Store;

/// <summary>How etcd is started, and what is made of what its programs and files say.</summary>
public sealed class EtcdProgramTests : IDisposable
{
    private readonly DirectoryInfo _place = TestDirectory.InMemory("evenkeel-etcd-");

    public void Dispose() => _place.Delete(recursive: true);

    private static readonly NodeName n2 = new("n2");

    private static EtcdMember Member(string directory = "/nowhere") => new()
    {
        Node = n2,
        StateDirectory = directory,
        Clients = new PrivateEndpoint(IPAddress.Parse("10.0.0.2"), 2379),
        Peers = new Dictionary<NodeName, PrivateEndpoint>
        {
            [n2] = new(IPAddress.Parse("10.0.0.2"), 2380), [new("n1")] = new(IPAddress.Parse("10.0.0.1"), 2380),
        },
        Certificates = "/tls",
    };

    [Theory]
    [InlineData("etcd Version: 3.4.23\nGit SHA: Not provided\nGo Version: go1.19.8", "3.4.23")]
    [InlineData("etcd Version: 3.6.0\r\n", "3.6.0")]
    [InlineData("etcd Version: 3.5.0-rc.1", "3.5.0")]
    [InlineData("etcdmain: unknown flag", null)]
    [InlineData("", null)]
    public void ParseVersion_IsThatOfEtcdNotOfGo(string output, string? version) => Assert.Equal(version, EtcdPrograms.ParseVersion(output)?.ToString());

    [Fact]
    public void Start_EtcdMissing_SaysWhatToInstall()
    {
        var refused = Assert.Throws<EtcdStartException>(() => EtcdProcess.Start(Member(_place.FullName) with { Program = "/nowhere/etcd" }));
        Assert.Contains("/nowhere/etcd", refused.Message, StringComparison.Ordinal);
        Assert.Contains("apt install etcd-server", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_ItsNumberCannotBeWrittenDown_RunsAndTheNextStartFindsIt()
    {
        var member = Member(_place.FullName) with { Program = FakeEtcd.In(_place.FullName) };
        // As a full disk does: there is no file with a number in it.
        Directory.CreateDirectory(member.PidFile);
        using var first = EtcdProcess.Start(member);
        try
        {
            Assert.False(first.Adopted);
            Assert.True(EtcdProcess.IsRunning(member));
            using var second = EtcdProcess.Start(member);
            Assert.Equal((first.Id, true), (second.Id, second.Adopted));
            Assert.False(EtcdProcess.IsRunning(member with { StateDirectory = _place.FullName + "/other" }));
        }
        finally
        {
            await first.StopAsync(TimeSpan.FromSeconds(10));
        }

        Assert.False(EtcdProcess.IsRunning(member));
    }

    [Fact]
    public void IsRunning_AProcessInTheMidstOfBecomingAnotherProgram_IsNotOverlooked()
    {
        // As sh becomes nice and nice etcd, but without an end: it becomes itself.
        const string Script = "exec /bin/sh -c \"$1\" \"$0\" \"$@\"";
        var member = Member(_place.FullName);
        using var process = System.Diagnostics.Process.Start("/bin/sh", ["-c", Script, "etcd", Script, "--data-dir", member.DataDirectory]);
        try
        {
            Assert.DoesNotContain(false, Enumerable.Range(0, 100).Select(_ => EtcdProcess.IsRunning(member)));
        }
        finally
        {
            process.Kill();
            process.WaitForExit();
        }
    }

    [Fact]
    public void GroupName_IsReadableAndOfThatStateDirectoryAlone()
    {
        var name = EtcdGroup.NameOf(Member("/var/lib/evenkeel"));
        Assert.Matches("^evenkeel-etcd-n2-[0-9a-f]{8}$", name);
        Assert.Equal(name, EtcdGroup.NameOf(Member("/var/lib/evenkeel/")));
        Assert.NotEqual(name, EtcdGroup.NameOf(Member("/var/lib/other")));
    }

    [Fact]
    public async Task Start_OwnGroupThatCannotBe_RunsAllTheSameAndSaysWhy()
    {
        // A process that has ended meanwhile.
        Assert.Null(EtcdGroup.TryTake(Member(_place.FullName), int.MaxValue, out var reason));
        Assert.NotEmpty(reason!);
        var process = EtcdProcess.Start(Member(_place.FullName) with { Program = FakeEtcd.In(_place.FullName), OwnGroup = true });
        Assert.True(process.Group is null != process.GroupTrouble is null, $"{process.Group} {process.GroupTrouble}");
        await process.StopAsync(TimeSpan.FromSeconds(10));
        Assert.True(process.HasExited);
        Assert.False(Directory.Exists(process.Group));
    }

    [Fact]
    public void Arguments_OfAJoiner_NameTheOthersAndAnExistingCluster()
    {
        var words = string.Join(' ', (Member() with { Joins = true, RevocationList = "/tls/revoked.crl" }).Arguments());
        Assert.Contains("--initial-cluster n1=https://10.0.0.1:2380,n2=https://10.0.0.2:2380 --initial-cluster-state existing", words, StringComparison.Ordinal);
        Assert.Contains("--client-crl-file /tls/revoked.crl", words, StringComparison.Ordinal);
        Assert.Contains("--peer-crl-file /tls/revoked.crl", words, StringComparison.Ordinal);
        Assert.DoesNotContain("--force-new-cluster", words, StringComparison.Ordinal);
    }

    [Fact]
    public void Arguments_WhileItIsRecovered_ListenWhereNobodyElseReachesIt()
    {
        var words = string.Join(' ', (Member() with { PeersListener = new PrivateEndpoint(IPAddress.Loopback, 4242), ForcesNewCluster = true }).Arguments());
        Assert.Contains("--listen-peer-urls https://127.0.0.1:4242 --initial-advertise-peer-urls https://10.0.0.2:2380", words, StringComparison.Ordinal);
        Assert.Contains("--force-new-cluster", words, StringComparison.Ordinal);
        Assert.DoesNotContain("crl-file", words, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(10, 1, false)] // not worth the pause
    [InlineData(100, 60, false)]
    [InlineData(100, 49, true)]
    public void IsFragmented_OnlyLargeFilesThatAreMoreThanHalfFree(int mebibytes, int used, bool expected) =>
        Assert.Equal(expected, new EtcdSize((long)mebibytes << 20, (long)used << 20, false, false).IsFragmented);

    [Fact]
    public void WhyNot_Snapshot_TellsWholeFromDamagedAndCut()
    {
        var file = Path.Combine(_place.FullName, "state.db");
        var pages = RandomNumberGenerator.GetBytes(3 * 4096);
        byte[] whole = [.. pages, .. SHA256.HashData(pages)];
        File.WriteAllBytes(file, whole);
        Assert.Null(EtcdSnapshot.WhyNot(file));
        File.WriteAllBytes(file, whole[..^512]);
        Assert.Contains("SHA-256", EtcdSnapshot.WhyNot(file), StringComparison.Ordinal);
        File.WriteAllBytes(file, whole[..^1]);
        Assert.Contains("cut short", EtcdSnapshot.WhyNot(file), StringComparison.Ordinal);
        File.WriteAllBytes(file, []);
        Assert.Contains("no snapshot", EtcdSnapshot.WhyNot(file), StringComparison.Ordinal);
        whole[5000] ^= 1;
        File.WriteAllBytes(file, whole);
        Assert.Contains("SHA-256", EtcdSnapshot.WhyNot(file), StringComparison.Ordinal);
    }
}

using System.Diagnostics;
using System.Security.Cryptography;
using Evenkeel.Backup;
using Evenkeel.Backup.Backends;
using Xunit;

namespace Evenkeel.EndToEnd.Backup;

/// <summary>What every place promises (<see cref="IBackend"/>), asked of each: a directory, our repository server, OpenSSH's sftp-server, an S3 server.</summary>
[Trait("peer", "openssh"), Trait("peer", "s3rver"), Trait("Machine", "shared")]
public sealed class BackendConformanceTests : IDisposable
{
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly Workplace _place = new();
    private readonly List<IDisposable> _servers = [];

    public static TheoryData<string> Places => ["local", "rest", "sftp", "s3"];

    [Theory, MemberData(nameof(Places))]
    public async Task Save_ThenLoad_GivesTheFileAndEveryPartOfIt(string kind)
    {
        await using var backend = await OpenAsync(kind);
        var content = RandomNumberGenerator.GetBytes(300_000);
        var name = Name(content);
        await backend.SaveAsync(FileKind.Pack, name, content, None);
        Assert.Equal(content, await backend.LoadAsync(FileKind.Pack, name, 0, -1, None));
        Assert.Equal(content[1000..2500], await backend.LoadAsync(FileKind.Pack, name, 1000, 1500, None));
        Assert.Equal(content[299_990..], await backend.LoadAsync(FileKind.Pack, name, 299_990, 10, None));
        Assert.Equal(content[299_990..], await backend.LoadAsync(FileKind.Pack, name, 299_990, -1, None));
        Assert.Empty(await backend.LoadAsync(FileKind.Pack, name, 5, 0, None));
        Assert.Equal(RepositoryError.Damaged, (await Assert.ThrowsAsync<RepositoryException>(() => backend.LoadAsync(FileKind.Pack, name, 299_990, 11, None))).Error);
        Assert.Equal(RepositoryError.Damaged, (await Assert.ThrowsAsync<RepositoryException>(() => backend.LoadAsync(FileKind.Pack, name, 400_000, 11, None))).Error);
    }

    [Theory, MemberData(nameof(Places))]
    public async Task AFileThatIsNotThere_IsSaidSo_AndRemovedWithoutComplaint(string kind)
    {
        await using var backend = await OpenAsync(kind);
        var name = Name([1]);
        Assert.False(await backend.ExistsAsync(FileKind.Snapshot, name, None));
        Assert.False(await backend.ExistsAsync(FileKind.Config, "config", None));
        Assert.Equal(RepositoryError.NotFound, (await Assert.ThrowsAsync<RepositoryException>(() => backend.LoadAsync(FileKind.Snapshot, name, 0, -1, None))).Error);
        await backend.DeleteAsync(FileKind.Snapshot, name, None);
        foreach (var each in Enum.GetValues<FileKind>().Where(each => each != FileKind.Config)) Assert.Empty(await backend.ListAsync(each, None));
    }

    [Theory, MemberData(nameof(Places))]
    public async Task List_ShowsEachKindsFilesWithTheirSizes_AndNothingElse(string kind)
    {
        await using var backend = await OpenAsync(kind);
        var saved = new HashSet<(FileKind, string, long)>();
        foreach (var each in new[] { FileKind.Key, FileKind.Pack, FileKind.Index, FileKind.Snapshot, FileKind.Lock })
        {
            for (var i = 0; i < 5; i++)
            {
                var content = RandomNumberGenerator.GetBytes(10 + i);
                await backend.SaveAsync(each, Name(content), content, None);
                saved.Add((each, Name(content), content.Length));
            }
        }
        var (gone, one, _) = saved.First(file => file.Item1 == FileKind.Lock);
        await backend.DeleteAsync(gone, one, None);
        saved.RemoveWhere(file => file.Item2 == one);
        var listed = new HashSet<(FileKind, string, long)>();
        foreach (var each in new[] { FileKind.Key, FileKind.Pack, FileKind.Index, FileKind.Snapshot, FileKind.Lock })
            listed.UnionWith((await backend.ListAsync(each, None)).Select(file => (each, file.Name, file.Size)));
        Assert.Equal(saved.Order(), listed.Order());
    }

    [Theory, MemberData(nameof(Places))]
    public async Task Save_OfTheSameTwice_IsHarmless(string kind)
    {
        await using var backend = await OpenAsync(kind);
        var content = RandomNumberGenerator.GetBytes(1000);
        await backend.SaveAsync(FileKind.Index, Name(content), content, None);
        await backend.SaveAsync(FileKind.Index, Name(content), content, None);
        Assert.Equal(content, await backend.LoadAsync(FileKind.Index, Name(content), 0, -1, None));
        Assert.Single(await backend.ListAsync(FileKind.Index, None));
    }

    [Theory, MemberData(nameof(Places))]
    public async Task Create_WhereARepositoryIs_IsRefused(string kind)
    {
        await using var backend = await OpenAsync(kind);
        await backend.SaveAsync(FileKind.Config, "config", new byte[] { 1, 2, 3 }, None);
        Assert.True(await backend.ExistsAsync(FileKind.Config, "config", None));
        Assert.Equal(RepositoryError.Exists, (await Assert.ThrowsAsync<RepositoryException>(() => backend.CreateAsync(None))).Error);
    }

    [Theory, MemberData(nameof(Places))]
    public async Task ManyAtOnce_AreAllWholeThere(string kind)
    {
        await using var backend = await OpenAsync(kind);
        var contents = Enumerable.Range(0, 40).Select(i => RandomNumberGenerator.GetBytes(20_000 + i)).ToList();
        await Parallel.ForEachAsync(contents, None, async (content, stop) => await backend.SaveAsync(FileKind.Pack, Name(content), content, stop));
        Assert.Equal(40, (await backend.ListAsync(FileKind.Pack, None)).Count);
        await Parallel.ForEachAsync(contents, None, async (content, stop) => Assert.Equal(content, await backend.LoadAsync(FileKind.Pack, Name(content), 0, -1, stop)));
    }

    public void Dispose()
    {
        foreach (var server in _servers) server.Dispose();
        _place.Dispose();
    }

    private static string Name(byte[] content) => Convert.ToHexStringLower(SHA256.HashData(content));

    private async Task<IBackend> OpenAsync(string kind)
    {
        var backend = Open(kind);
        await backend.CreateAsync(None);
        return backend;
    }

    private IBackend Open(string kind)
    {
        switch (kind)
        {
            case "local": return new LocalBackend(_place.Repository);
            case "rest":
                var rest = new ServerProcess(_place.Root + "/served", "--no-password");
                _servers.Add(rest);
                return new RestBackend(RestLocation.Parse(rest.Place("a/b")));
            case "s3":
                var s3 = new S3Server(_place.Root + "/s3");
                _servers.Add(s3);
                return new S3Backend(S3Location.Parse(s3.Place("bucket/some/prefix")), new System.Net.NetworkCredential(S3Server.Key, S3Server.Secret));
            default:
                // sftp-server itself, without a network between.
                var script = _place.Root + "/ssh";
                File.WriteAllText(script, "#!/bin/sh\nexec /usr/lib/openssh/sftp-server\n");
                File.SetUnixFileMode(script, UnixFileMode.UserRead | UnixFileMode.UserExecute);
                return new SftpBackend(SftpLocation.Parse($"sftp:someone@somewhere:{_place.Root}/remote/repository"), script);
        }
    }
}

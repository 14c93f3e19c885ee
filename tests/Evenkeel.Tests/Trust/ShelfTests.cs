using Evenkeel.Agent.Trust;
using Evenkeel.PrivateConnection.Certificates;
using Evenkeel.Tests.Store;
using Xunit;

namespace Evenkeel.Tests.Trust;

/// <summary>The authority's keys on disk, with a crash between any two files.</summary>
public sealed class ShelfTests : IDisposable
{
    private readonly DirectoryInfo _state = TestDirectory.InMemory("evenkeel-shelf-");
    private readonly AuthorityShelf _shelf;
    private readonly string _first;

    public ShelfTests()
    {
        _shelf = new AuthorityShelf(_state.FullName);
        using var authority = CertificateAuthority.Create("shop");
        authority.Save(_shelf.Current);
        _first = authority.Hash;
    }

    public void Dispose() => _state.Delete(recursive: true);

    [Fact]
    public void PrepareNext_AskedTwice_IsTheSameAuthority()
    {
        var next = _shelf.PrepareNext("shop");
        Assert.Equal(next, _shelf.PrepareNext("shop"));
        Assert.NotEqual(_first, next.Hash);
        using var found = _shelf.Find(next.Hash);
        using var old = _shelf.Find(_first);
        Assert.Equal((next.Hash, _first), (found!.Hash, old!.Hash));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(_shelf.Current, "next", "ca.key")));
    }

    [Fact]
    public void Promote_LeavesTheNewKeyAlone()
    {
        var next = _shelf.PrepareNext("shop");
        _shelf.Promote();
        Assert.Equal((next.Hash, null), (_shelf.CurrentHash, _shelf.NextHash));
        Assert.Null(_shelf.Find(_first));
    }

    [Fact]
    public void Promote_CutShortBetweenTwoFiles_IsEndedTheNextTime_AndTheKeyIsFoundMeanwhile()
    {
        var next = _shelf.PrepareNext("shop");
        // The key is in place, its certificate is not.
        File.Copy(Path.Combine(_shelf.Current, "next", "ca.key"), Path.Combine(_shelf.Current, "ca.key"), overwrite: true);
        using (var found = _shelf.Find(next.Hash)) Assert.Equal(next.Hash, found!.Hash);
        Assert.Null(_shelf.CurrentHash);
        Assert.Equal(next.Hash, _shelf.NextHash);
        _shelf.Promote();
        Assert.Equal(next.Hash, _shelf.CurrentHash);
    }

    [Fact]
    public void Find_NothingHere_IsNull()
    {
        var empty = new AuthorityShelf(Path.Combine(_state.FullName, "other"));
        Assert.Null(empty.Find(_first));
        Assert.Null(empty.CurrentHash);
    }
}

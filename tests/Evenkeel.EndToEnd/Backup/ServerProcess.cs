using System.Diagnostics;

namespace Evenkeel.EndToEnd.Backup;

/// <summary><c>evenkeel repository serve</c> on a free loopback port.</summary>
internal sealed class ServerProcess : IDisposable
{
    private readonly Process _process;

    public ServerProcess(string directory, params string[] arguments)
    {
        _process = Process.Start(new ProcessStartInfo(BackupProgram.Path, ["repository", "serve", directory, "--listen", "127.0.0.1:0", .. arguments])
        {
            RedirectStandardOutput = true,
        })!;
        var line = _process.StandardOutput.ReadLine() ?? throw new InvalidOperationException("the server did not start");
        Address = new Uri(line.Split(' ')[3].TrimEnd(','));
    }

    public Uri Address { get; }

    /// <summary>A repository's place for restic and for us.</summary>
    public string Place(string path, string? user = null, string password = "secret") =>
        $"rest:{Address.Scheme}://{(user is null ? "" : $"{user}:{password}@")}{Address.Authority}/{path}";

    public void Dispose()
    {
        _process.Kill();
        _process.WaitForExit();
        _process.Dispose();
    }
}

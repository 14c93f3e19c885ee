using System.Diagnostics;
using Evenkeel.EndToEnd.Lab;

namespace Evenkeel.EndToEnd.Backup;

/// <summary>An S3 server of others on loopback, with an empty bucket-less store of its own.</summary>
internal sealed class S3Server : IDisposable
{
    public const string Key = "S3RVER", Secret = "S3RVER";
    private static readonly Lock s_installing = new();
    private readonly Process _process;

    /// <param name="certificate">PEM files of a certificate and its key: over TLS.</param>
    public S3Server(string directory, (string Certificate, string Key)? certificate = null)
    {
        var program = Install();
        _scheme = certificate is null ? "http" : "https";
        Directory.CreateDirectory(directory);
        _process = Process.Start(new ProcessStartInfo("node", [program, "--directory", directory, "--port", "0", "--address", "127.0.0.1", "--no-vhost-buckets", .. certificate is { } tls ? ["--cert", tls.Certificate, "--key", tls.Key] : Array.Empty<string>()])
        {
            RedirectStandardOutput = true, RedirectStandardError = true,
        })!;
        // "S3rver listening on 127.0.0.1:PORT"
        var line = _process.StandardOutput.ReadLine() ?? throw new InvalidOperationException($"the S3 server did not start: {_process.StandardError.ReadToEnd()}");
        while (!line.Contains("127.0.0.1:", StringComparison.Ordinal))
        {
            line = _process.StandardOutput.ReadLine() ?? throw new InvalidOperationException("the S3 server did not start");
        }
        Port = int.Parse(line[(line.LastIndexOf(':') + 1)..].Trim(), null);
        _ = _process.StandardOutput.ReadToEndAsync();
        _ = _process.StandardError.ReadToEndAsync();
    }

    public int Port { get; }

    private readonly string _scheme;

    public string Place(string path) => $"s3:{_scheme}://127.0.0.1:{Port}/{path}";

    public void Dispose()
    {
        _process.Kill();
        _process.WaitForExit();
        _process.Dispose();
    }

    private static string Install()
    {
        var folder = Path.Combine(Checkout.Root, "tests", "s3server");
        var program = Path.Combine(folder, "node_modules", "s3rver", "bin", "s3rver.js");
        lock (s_installing)
        {
            if (!File.Exists(program))
            {
                using var npm = Process.Start(new ProcessStartInfo("npm", ["ci", "--no-audit", "--no-fund"]) { WorkingDirectory = folder, RedirectStandardOutput = true, RedirectStandardError = true })!;
                var said = npm.StandardError.ReadToEndAsync();
                npm.StandardOutput.ReadToEnd();
                npm.WaitForExit();
                if (npm.ExitCode != 0)
                {
                    throw new InvalidOperationException($"npm ci in {folder} failed: {said.Result}");
                }
            }
        }
        return program;
    }
}

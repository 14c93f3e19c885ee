using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.DependencyInjection;

namespace Evenkeel.Backup.Server;

/// <summary>Serves repositories to restic, to ourselves, and to whatever else speaks restic's REST protocol.</summary>
/// <remarks>A machine that was broken into holds its own password for the repository. Append-only mode is what keeps its older
/// backups from it: only the maintenance password, which that machine does not have, removes.</remarks>
public sealed class RepositoryServer : IAsyncDisposable
{
    // restic's packs are 16 MiB unless somebody asks for up to 128.
    private const long LargestUpload = 1L << 30;
    private readonly WebApplication _host;

    private RepositoryServer(WebApplication host) => _host = host;

    /// <summary>Where it listens.</summary>
    public Uri Address => new(_host.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First());

    /// <summary>Starts; fails with a <see cref="RepositoryException"/> when a file cannot be used or the port is taken.</summary>
    public static async Task<RepositoryServer> StartAsync(
        RepositoryServerOptions options, TimeProvider time, Action<string> log, CancellationToken cancellation)
    {
        var users = options.PasswordFile is { } file ? new PasswordFile(file, time) : null;
        var maintainers = options.MaintenancePasswordFile is { } other ? new PasswordFile(other, time) : null;
        var certificate = Certificate(options);
        var quota = new StorageQuota(options.Directory, options.QuotaBytes);
        var handler = new RequestHandler(options, new ServedFiles(options.Directory, quota, time), users, maintainers, log);
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = LargestUpload;
            kestrel.Limits.MaxConcurrentConnections = 1000;
            kestrel.Listen(options.Listen, listen =>
            {
                if (certificate is not null)
                {
                    listen.UseHttps(new HttpsConnectionAdapterOptions { ServerCertificate = certificate[0], ServerCertificateChain = certificate });
                }
            });
        });
        if (certificate is not null)
        {
            builder.WebHost.UseKestrelHttpsConfiguration();
        }
        var host = builder.Build();
        host.Run(handler.HandleAsync);
        try
        {
            Directory.CreateDirectory(options.Directory);
            await host.StartAsync(cancellation).ConfigureAwait(false);
            return new RepositoryServer(host);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or System.Net.Sockets.SocketException)
        {
            await host.DisposeAsync().ConfigureAwait(false);
            throw new RepositoryException(RepositoryError.Unavailable, $"cannot serve {options.Directory} at {options.Listen}: {e.Message}", e);
        }
    }

    /// <summary>Stops; requests under way get a few seconds.</summary>
    public async ValueTask DisposeAsync()
    {
        await _host.StopAsync().ConfigureAwait(false);
        await _host.DisposeAsync().ConfigureAwait(false);
    }

    private static X509Certificate2Collection? Certificate(RepositoryServerOptions options)
    {
        if (options.CertificateFile is null)
        {
            return null;
        }
        try
        {
            var chain = new X509Certificate2Collection();
            chain.ImportFromPemFile(options.CertificateFile);
            chain[0] = X509Certificate2.CreateFromPemFile(options.CertificateFile, options.KeyFile ?? options.CertificateFile);
            return chain;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or CryptographicException or ArgumentException)
        {
            throw new RepositoryException(RepositoryError.Unavailable, $"the certificate {options.CertificateFile} cannot be used: {e.Message}", e);
        }
    }
}

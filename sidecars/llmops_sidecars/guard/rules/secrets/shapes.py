"""Shapes of secrets: what a maker puts before a key so that it can be found, and how long the key is.

A pattern begins with what is told from other texts, and not with a row of any letters: those before it are looked at
when it occurs (BEFORE). Patterns that may begin anywhere make a pass over a text many times as long.
"""

from __future__ import annotations

SHAPES = {
    # models and their tools
    "openai": r"sk-[A-Za-z0-9_\-]{20,}",
    "anthropic": r"sk-ant-[a-z0-9]{3,8}-[A-Za-z0-9_\-]{20,}",
    "hugging face": r"hf_[A-Za-z0-9]{30,}|api_org_[A-Za-z0-9]{30,}",
    "replicate": r"r8_[A-Za-z0-9]{37}",
    "groq": r"gsk_[A-Za-z0-9]{40,}",
    "xai": r"xai-[A-Za-z0-9]{60,}",
    "perplexity": r"pplx-[A-Za-z0-9]{40,}",
    "nvidia": r"nvapi-[A-Za-z0-9_\-]{40,}",
    "fireworks": r"fw_[A-Za-z0-9]{22,}",
    "langsmith": r"lsv2_(?:pt|sk)_[a-f0-9]{32}_[a-f0-9]{10}",
    "pinecone": r"pcsk_[A-Za-z0-9]{4,8}_[A-Za-z0-9]{50,}",
    # clouds
    "aws": r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}",
    "google": r"AIza[A-Za-z0-9_\-]{35}|ya29\.[A-Za-z0-9_\-]{20,}|GOCSPX-[A-Za-z0-9_\-]{28}|1//0[A-Za-z0-9_\-]{40,}",
    "azure": (
        r"(?:AccountKey|SharedAccessKey)=[A-Za-z0-9+/]{40,88}={0,2}|[?&]sig=(?:[A-Za-z0-9+/]|%[0-9A-Fa-f]{2}){40,}={0,2}"
        r"|8Q~[A-Za-z0-9_~.\-]{31,34}"
    ),
    "alibaba": r"LTAI[A-Za-z0-9]{16,20}",
    "tencent": r"AKID[A-Za-z0-9]{32}",
    "digitalocean": r"do[opr]_v1_[a-f0-9]{64}",
    "cloudflare": r"v1\.0-[a-f0-9]{24}-[a-f0-9]{146}",
    "heroku": r"HRKU-[A-Za-z0-9_\-]{36,60}",
    "fly": r"fo1_[A-Za-z0-9_\-]{43}|fm[12][ar]?_[A-Za-z0-9+/=_\-]{60,}",
    "netlify": r"nfp_[A-Za-z0-9]{36}",
    "supabase": r"sbp_[a-f0-9]{40}",
    "planetscale": r"pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_\-.]{32,}",
    # code and its way out
    "github": r"gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,}",
    "gitlab": r"gl(?:pat|ptt|dt|rt|cbt|ft|soat|imt|agent)-[A-Za-z0-9_\-.]{20,}",
    "atlassian": r"ATBB[A-Za-z0-9]{32}|AT[AC]TT3[A-Za-z0-9_\-=]{50,}",
    "npm": r"npm_[A-Za-z0-9]{36}",
    "pypi": r"pypi-[A-Za-z0-9_\-]{50,}",
    "rubygems": r"rubygems_[a-f0-9]{48}",
    "nuget": r"oy2[a-z0-9]{43}",
    "clojars": r"CLOJARS_[a-z0-9]{60}",
    "docker": r"dckr_[po]at_[A-Za-z0-9_\-]{27,}",
    "artifactory": r"AKCp[A-Za-z0-9]{69}",
    "circleci": r"CCI(?:PAT|PRJ)_[A-Za-z0-9]{22}_[a-f0-9]{40}",
    "buildkite": r"bkua_[a-z0-9]{40}",
    "postman": r"PMAK-[a-f0-9]{24}-[a-f0-9]{34}",
    # infrastructure
    "vault": r"hv[sbr]\.[A-Za-z0-9_\-]{24,}",
    "terraform": r"\.atlasv1\.[A-Za-z0-9_\-=]{60,}",
    "pulumi": r"pul-[a-f0-9]{40}",
    "doppler": r"dp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9_\-.]{40,}",
    "tailscale": r"tskey-(?:auth|api|client)-[A-Za-z0-9]+-[A-Za-z0-9]{20,}",
    "databricks": r"dapi[a-f0-9]{32}(?:-\d)?",
    "grafana": r"glsa_[A-Za-z0-9]{32}_[a-f0-9]{8}|glc_[A-Za-z0-9+/]{32,}={0,2}",
    "new relic": r"NRAK-[A-Z0-9]{27}|NR(?:JS|II|BR)-[A-Za-z0-9_\-]{19,32}",
    "sentry": r"sntrys_[A-Za-z0-9+/=_\-]{50,}|sntryu_[a-f0-9]{64}|https://[a-f0-9]{32}(?::[a-f0-9]{32})?@[a-z0-9.\-]+/\d+",
    "age": r"AGE-SECRET-KEY-1[0-9A-Z]{58}",
    # people and money
    "slack": (
        r"xox[abeoprs]-[A-Za-z0-9\-]{10,}|xapp-\d-[A-Z0-9]{8,}-\d+-[a-f0-9]{40,}"
        r"|https://hooks\.slack\.com/(?:services|workflows)/T[A-Za-z0-9/]{20,}"
    ),
    "discord": (
        r"\.[A-Za-z0-9_\-]{6}\.[A-Za-z0-9_\-]{27,40}"
        r"|https://(?:ptb\.|canary\.)?discord(?:app)?\.com/api/webhooks/\d{17,20}/[A-Za-z0-9_\-]{60,}"
    ),
    "telegram": r"\d{8,10}:AA[A-Za-z0-9_\-]{33}",
    "stripe": r"[rs]k_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9+/]{24,}={0,2}",
    "square": r"sq0(?:atp|csp|idp)-[A-Za-z0-9_\-]{22,43}|EAAA[A-Za-z0-9_\-]{60}",
    "paypal": r"access_token\$(?:production|sandbox)\$[a-z0-9]{16}\$[a-f0-9]{32}",
    "shopify": r"shp(?:at|ca|pa|ss)_[A-Fa-f0-9]{32}",
    "twilio": r"SK[a-f0-9]{32}",
    "sendgrid": r"SG\.[A-Za-z0-9_\-]{16,}\.[A-Za-z0-9_\-]{16,}",
    "mailgun": r"key-[a-f0-9]{32}|[a-f0-9]{32}-[a-f0-9]{8}-[a-f0-9]{8}",
    "mailchimp": r"[a-f0-9]{32}-us\d{1,2}",
    "brevo": r"xkeysib-[a-f0-9]{64}-[A-Za-z0-9]{16}",
    "resend": r"re_[A-Za-z0-9]{8}_[A-Za-z0-9]{24}",
    "facebook": r"EAA[A-Za-z0-9]{90,}",
    "twitter": r"AAAAAAAAAAAAAAAAAAAAA[A-Za-z0-9%]{40,}",
    "dropbox": r"sl\.[A-Za-z0-9_\-]{130,}",
    "hubspot": r"pat-(?:na|eu)\d-[a-f0-9]{8}(?:-[a-f0-9]{4}){3}-[a-f0-9]{12}",
    "airtable": r"pat[A-Za-z0-9]{14}\.[a-f0-9]{64}",
    "notion": r"ntn_[A-Za-z0-9]{40,}|secret_[A-Za-z0-9]{43}",
    "linear": r"lin_(?:api|oauth)_[A-Za-z0-9]{40,}",
    "figma": r"fig[dou]r?_[A-Za-z0-9_\-]{40,}",
    "1password": r"ops_eyJ[A-Za-z0-9+/=_\-]{60,}",
    # of any maker
    "token": r"eyJ[A-Za-z0-9_\-]{8,}\.eyJ[A-Za-z0-9_\-]{8,}(?:\.[A-Za-z0-9_\-]*)?",
    "private key": (
        r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"
        r"(?s:.*?)(?:-----END (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----|\z)"
    ),
    "connection": r"://[^\s:/@]{0,64}:[^\s/@]{1,128}@",
}

BEFORE = {
    ("terraform", "."): r"[A-Za-z0-9]{14}$",
    ("discord", "."): r"[MNO][A-Za-z0-9_\-]{23,27}$",
    ("azure", "8"): r"[A-Za-z0-9_~.\-]{3}$",
    ("connection", ":"): r"[a-zA-Z][a-zA-Z0-9+.\-]{1,20}$",
}
"""What has to stand before a match, by its name and first character."""

MOST_BEFORE = 28

# Doorkeeper with doorkeeper-openid_connect in a Rails application of one file. Its login returns to the authorization
# request, whose address it keeps where REMEMBER says: in the session, as Devise does, or in the login page's address.
require "rails"
require "action_controller/railtie"
require "active_record/railtie"
require "doorkeeper"
require "doorkeeper/openid_connect"

ENV["DATABASE_URL"] = "sqlite3:#{Dir.pwd}/site.sqlite3"

class Site < Rails::Application
  config.root = Dir.pwd
  config.eager_load = false
  config.consider_all_requests_local = false
  config.secret_key_base = "test"
  config.hosts.clear
  config.logger = Logger.new($stderr)
  config.log_level = :error
  config.load_defaults 6.1
  config.session_store :cookie_store, key: "_site_session"
end

class User < ActiveRecord::Base; end

class ApplicationController < ActionController::Base
  def current_user
    User.find_by(id: session[:user])
  end
end

class LoginController < ApplicationController
  def show
    render inline: <<~HTML
      <%= form_with(url: request.fullpath, local: true) do %>
        <input name="username"><input name="password" type="password"><button>Sign in</button>
      <% end %>
    HTML
  end

  def create
    user = User.find_by(name: params[:username], password: params[:password])
    return show unless user
    session[:user] = user.id
    redirect_to(session.delete(:return_to) || params[:return_to])
  end
end

Doorkeeper.configure do
  orm :active_record
  resource_owner_authenticator do
    current_user || if ENV["REMEMBER"] == "session"
      session[:return_to] = request.fullpath
      redirect_to("/login")
    else
      redirect_to("/login?#{{ return_to: request.fullpath }.to_query}")
    end
  end
  grant_flows %w[authorization_code]
  default_scopes :openid
  optional_scopes :profile
  base_controller "ApplicationController"
end

Doorkeeper::OpenidConnect.configure do
  issuer ENV["PUBLIC_URL"]
  protocol { URI(ENV["PUBLIC_URL"]).scheme.to_sym }
  signing_key File.read("key.pem")
  resource_owner_from_access_token { |token| User.find_by(id: token.resource_owner_id) }
  subject { |user, _application| user.id }
  auth_time_from_resource_owner { |_user| Time.at(0) }
end

Site.initialize!
Site.routes.draw do
  use_doorkeeper
  use_doorkeeper_openid_connect
  get "login", to: "login#show"
  post "login", to: "login#create"
end

ActiveRecord::Schema.verbose = false
ActiveRecord::Base.connection.execute("PRAGMA synchronous = OFF") # the database is a test's
ActiveRecord::Schema.define do
  create_table(:users) { |t| t.string(:name); t.string(:password) }
  create_table(:oauth_applications) do |t|
    %i[name uid secret scopes].each { |column| t.string(column, null: false, default: "") }
    t.text(:redirect_uri)
    t.boolean(:confidential, null: false, default: true)
    t.timestamps
  end
  create_table(:oauth_access_grants) do |t|
    t.references(:resource_owner, :application)
    %i[token scopes code_challenge code_challenge_method].each { |column| t.string(column) }
    t.integer(:expires_in)
    t.text(:redirect_uri)
    t.datetime(:created_at)
    t.datetime(:revoked_at)
  end
  create_table(:oauth_access_tokens) do |t|
    t.references(:resource_owner, :application)
    %i[token refresh_token scopes previous_refresh_token].each { |column| t.string(column) }
    t.integer(:expires_in)
    t.datetime(:created_at)
    t.datetime(:revoked_at)
  end
  create_table(:oauth_openid_requests) { |t| t.references(:access_grant); t.string(:nonce) }
end
User.create!(name: ENV["USERNAME"], password: ENV["PASSWORD"])
Doorkeeper::Application.create!(
  name: "web", uid: ENV["CLIENT_ID"], secret: ENV["CLIENT_SECRET"], scopes: "openid profile",
  redirect_uri: ENV["REDIRECT_URIS"].split.join("\n"),
)
Doorkeeper::Application.create!(
  name: "spa", uid: ENV["PUBLIC_CLIENT_ID"], confidential: false, scopes: "openid profile",
  redirect_uri: ENV["REDIRECT_URIS"].split.join("\n"),
)

run Site
